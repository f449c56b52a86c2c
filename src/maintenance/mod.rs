//! What changes by time alone: certificates come to their end, revocation lists are replaced, events
//! stay away, servers fail. Apart from the requests, on a thread of its own.
//!
//! In: the current generation, again and again. Out: warnings, gauges, and fetched lists put in
//! force, after which every open connection is looked at again. Callers never wait for it.

use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tracing::{info, warn};

use self::expiry::{Calendar, InUse};
use self::refresh::Refresher;
use crate::generation::Generation;
use crate::lifecycle::{Change, Swaps, Watcher};
use crate::state::ProcessState;
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate::utc;
use crate::tls::client_auth::ClientTrust;

pub(crate) mod expiry;
mod fetch;
mod health_checks;
mod quiet;
pub(crate) mod refresh;

/// Maintains the generation in force until draining begins.
pub(crate) fn run(runtime: &Runtime, shared: &ProcessState, swaps: &Swaps) {
    LocalSet::new().block_on(runtime, async {
        tokio::select! {
            () = shared.watcher.clone().draining() => {}
            () = watch_the_calendar(shared) => {}
            () = refresh_lists(shared, swaps) => {}
            () = quiet::watch(shared) => {}
            () = health_checks::watch(shared) => {}
        }
    });
}

/// Shows the ends and dates of what a generation uses, and a zero for each place to fetch from.
pub(crate) fn show(generation: &Generation, metrics: &Metrics) {
    let in_use = expiry::in_use(generation);
    let ends = in_use.iter().map(|used| (used.kind, &*used.label, used.facts.not_after));
    metrics.show_certificates(ends);
    health_checks::show(generation, metrics);
    let Some(trust) = generation.tls.trust() else { return };
    let (lists, places) = (trust.lists(), trust.places());
    let dates = lists.iter().map(|list| (list.source(), list.this_update(), list.next_update()));
    metrics.show_lists(dates, places.iter().map(String::as_str));
    places.iter().for_each(|place| metrics.crl_fetches_at_zero(place));
}

async fn watch_the_calendar(shared: &ProcessState) {
    let mut watcher = shared.watcher.clone();
    let mut calendar = Calendar::default();
    loop {
        // Before the look, so that nothing that happens during it is missed.
        let generation = shared.generation.load_full();
        let news = generation.tls.trust().map(|trust| trust.news());
        let now = SystemTime::now();
        let in_use = expiry::in_use(&generation);
        for used in calendar.look(&in_use, &generation.config.log.expiry_warning_days, now) {
            warn_of_end(used, now);
        }
        if let Some(trust) = generation.tls.trust() {
            look_at_lists(trust, &mut calendar, now);
        }
        show(&generation, &shared.metrics);
        if something_new(&mut watcher, news, LOOK_INTERVAL).await == Change::Draining {
            return;
        }
    }
}

/// A day is what counts; a minute costs nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

fn look_at_lists(trust: &ClientTrust, calendar: &mut Calendar, now: SystemTime) {
    let lists = trust.lists();
    for list in calendar.gone_stale(&lists, now) {
        let (source, next_update) = (list.source(), utc(list.next_update()));
        warn!(source, next_update, "revocation list is past its nextUpdate");
    }
    for client in calendar.let_in_unchecked(trust.last_seen().filter_map(|(_, client)| client)) {
        let (anchor, sha256) = (client.anchor(), client.facts().map(|facts| facts.sha256.as_str()));
        warn!(anchor, sha256, "let in a client whose revocation status is unknown");
    }
}

fn warn_of_end(InUse { kind, label, facts }: &InUse, now: SystemTime) {
    let left = facts.not_after.duration_since(now);
    warn!(
        kind = kind.label(),
        label = &**label,
        subject = facts.subject,
        sha256 = facts.sha256,
        not_after = utc(facts.not_after),
        days_left = left.as_ref().map_or(0, expiry::whole_days),
        hint = kind.hint(),
        "{}",
        if left.is_ok() { "certificate ends soon" } else { "certificate has ended" }
    );
}

async fn refresh_lists(shared: &ProcessState, swaps: &Swaps) {
    let mut watcher = shared.watcher.clone();
    let mut refresher = Refresher::default();
    loop {
        // Before the work, so that nothing that happens during it is missed.
        let generation = shared.generation.load_full();
        let news = generation.tls.trust().map(|trust| trust.news());
        let mut pause = LOOK_INTERVAL;
        if let Some((trust, settings)) = fetching(&generation) {
            let points = refresher.update(trust);
            // A list that came while this generation was being built.
            put_in_force(&refresher, trust, swaps);
            for report in refresher.fetch_due(points, trust, settings).await {
                shared.metrics.crl_fetches(&report.source, report.outcome).inc();
                report.log();
            }
            put_in_force(&refresher, trust, swaps);
            pause = refresher.until_due().unwrap_or(LOOK_INTERVAL);
        }
        if something_new(&mut watcher, news, pause).await == Change::Draining {
            return;
        }
    }
}

/// The trust of a generation that fetches lists.
fn fetching(generation: &Generation) -> Option<(&ClientTrust, &crate::config::Crl)> {
    let trust = generation.tls.trust()?;
    Some((trust, trust.crl().filter(|crl| crl.is_fetched())?))
}

fn put_in_force(refresher: &Refresher, trust: &ClientTrust, swaps: &Swaps) {
    // Each of them, whatever came of the others.
    let replaced = refresher.lists().filter(|list| trust.install(list)).count();
    if replaced > 0 {
        info!(replaced, "revocation lists in force; open connections are proven again");
        swaps.swapped();
    }
}

/// Returns when a client was seen, when something was swapped, or after `pause`; or when draining
/// has begun, and there is nothing to maintain any more.
async fn something_new(
    watcher: &mut Watcher,
    news: Option<watch::Receiver<()>>,
    pause: Duration,
) -> Change {
    let news = async {
        match news {
            // An error means that the trust is gone, so another generation is there.
            Some(mut news) => _ = news.changed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        change = watcher.changed() => change,
        () = news => Change::Swapped,
        () = tokio::time::sleep(pause) => Change::Swapped,
    }
}
