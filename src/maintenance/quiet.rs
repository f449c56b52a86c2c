//! Notices that no genuine event comes any more, which nothing else tells: the handshakes work, the
//! application runs, and the subscription is gone.
//!
//! In: the routes that have an alarm, and when each heard its last event. Out: a gauge for each,
//! and a line at the beginning and at the end of each silence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{LOOK_INTERVAL, something_new};
use crate::lifecycle::Change;
use crate::state::ProcessState;
use crate::telemetry::metrics::Gauge;
use crate::tls::certificate::utc;

/// What has an alarm, and since when it is watched.
#[derive(Default)]
struct Silences {
    watched: HashMap<Arc<str>, Watched>,
}

struct Watched {
    /// Not before a reload gave it an alarm: nobody has waited for its events until then.
    since: Instant,
    gauge: Gauge,
}

/// One route that has an alarm, as it is now.
struct WatchedRoute {
    name: Arc<str>,
    alarm: Duration,
    /// When its last genuine event came, to the second.
    last_event: Option<SystemTime>,
    gauge: Gauge,
}

/// What has become of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    FellSilent,
    HeardAgain,
}

/// Watches the routes of the generation in force until draining begins.
pub(super) async fn watch(shared: &ProcessState) {
    let mut watcher = shared.watcher.clone();
    let mut silences = Silences::default();
    loop {
        let generation = shared.generation.load_full();
        let routes = generation.routes.webhooks.iter().filter_map(|route| {
            Some(WatchedRoute {
                name: Arc::clone(&route.name),
                alarm: route.settings.quiet_alarm?,
                last_event: route.metrics.events.last(),
                gauge: route.metrics.quiet.clone(),
            })
        });
        let routes: Vec<_> = routes.collect();
        for (route, turn) in silences.look(&routes, Instant::now(), SystemTime::now()) {
            tell(route, turn);
        }
        let pause = if routes.is_empty() { LOOK_INTERVAL } else { QUIET_INTERVAL };
        if something_new(&mut watcher, None, pause).await == Change::Draining {
            return;
        }
    }
}

/// Half of the shortest alarm, so that the end of a silence is always seen.
const QUIET_INTERVAL: Duration = Duration::from_millis(500);

fn tell(route: &WatchedRoute, turn: Turn) {
    let name = &*route.name;
    match turn {
        Turn::FellSilent => warn!(
            route = name,
            last_verified_event = route.last_event.map(utc),
            quiet_alarm_ms = u64::try_from(route.alarm.as_millis()).unwrap_or(u64::MAX),
            hint = "does anybody connect, are handshakes refused, is the app still subscribed?",
            "no genuine event for longer than webhook.quiet_alarm_ms"
        ),
        Turn::HeardAgain => info!(route = name, "genuine events come again"),
    }
}

impl Silences {
    /// Sets every gauge; what has turned since the last look is returned, once.
    fn look<'r>(
        &mut self,
        routes: &'r [WatchedRoute],
        now: Instant,
        wall_clock: SystemTime,
    ) -> Vec<(&'r WatchedRoute, Turn)> {
        // Of a route that is gone, or has no alarm any more, nobody expects anything.
        self.watched.retain(|name, watched| {
            let stays = routes.iter().any(|route| route.name == *name);
            if !stays {
                watched.gauge.set(0);
            }
            stays
        });
        let mut turned = Vec::new();
        for route in routes {
            let watched = self.watched.entry(Arc::clone(&route.name));
            let watched =
                watched.or_insert_with(|| Watched { since: now, gauge: route.gauge.clone() });
            // Whichever is shorter, so that a clock that jumps gives no false alarm at the start.
            let silence = (now - watched.since).min(silence(route.last_event, wall_clock));
            let is_quiet = u64::from(silence >= route.alarm);
            let was_quiet = route.gauge.get();
            if is_quiet != was_quiet {
                route.gauge.set(is_quiet);
                let turn = if is_quiet == 1 { Turn::FellSilent } else { Turn::HeardAgain };
                turned.push((route, turn));
            }
        }
        turned
    }
}

/// From the last event, which came within the second after `last_event`, to now.
fn silence(last_event: Option<SystemTime>, now: SystemTime) -> Duration {
    last_event.map_or(Duration::MAX, |last| {
        now.duration_since(last + Duration::from_secs(1)).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A route, and clocks that are moved by hand.
    struct TestScene {
        silences: Silences,
        route: WatchedRoute,
        begin: Instant,
        wall_begin: SystemTime,
        at: Duration,
    }

    impl TestScene {
        fn new(alarm_seconds: u64) -> Self {
            let route = WatchedRoute {
                name: "/webhooks".into(),
                alarm: Duration::from_secs(alarm_seconds),
                last_event: None,
                gauge: Gauge::default(),
            };
            let (begin, wall_begin) = (Instant::now(), SystemTime::now());
            Self { silences: Silences::default(), route, begin, wall_begin, at: Duration::ZERO }
        }

        fn event(&mut self) {
            self.route.last_event = Some(self.wall_begin + self.at);
        }

        fn look_at(&mut self, seconds: u64) -> Vec<Turn> {
            self.at = Duration::from_secs(seconds);
            let (now, wall) = (self.begin + self.at, self.wall_begin + self.at);
            let routes = std::slice::from_ref(&self.route);
            self.silences.look(routes, now, wall).into_iter().map(|(_, turn)| turn).collect()
        }
    }

    #[test]
    fn each_silence_is_told_once_and_its_end_once() {
        let mut scene = TestScene::new(10);
        assert_eq!(scene.look_at(0), []);
        assert_eq!(scene.look_at(9), []);
        assert_eq!(scene.look_at(10), [Turn::FellSilent]);
        assert_eq!((scene.look_at(11), scene.route.gauge.get()), (vec![], 1));
        scene.event();
        assert_eq!(scene.look_at(12), [Turn::HeardAgain]);
        assert_eq!((scene.look_at(20), scene.route.gauge.get()), (vec![], 0));
        // The event came at some time within the second 11.
        assert_eq!(scene.look_at(21), []);
        assert_eq!(scene.look_at(22), [Turn::FellSilent]);
    }

    #[test]
    fn a_route_that_gets_its_alarm_late_is_given_the_whole_time() {
        let mut scene = TestScene::new(10);
        scene.event();
        assert_eq!(scene.look_at(1_000), []);
        assert_eq!(scene.look_at(1_009), []);
        assert_eq!(scene.look_at(1_010), [Turn::FellSilent]);
    }

    #[test]
    fn what_is_not_watched_any_more_is_not_quiet() {
        let mut scene = TestScene::new(10);
        scene.look_at(0);
        assert_eq!(scene.look_at(10), [Turn::FellSilent]);
        let turned = scene.silences.look(&[], Instant::now(), SystemTime::now());
        assert!(turned.is_empty());
        assert_eq!(scene.route.gauge.get(), 0);
    }

    #[test]
    fn a_wall_clock_that_jumps_is_no_silence_at_the_start() {
        let mut scene = TestScene::new(10);
        scene.event();
        assert_eq!(scene.look_at(0), []);
        scene.wall_begin += Duration::from_secs(100_000);
        assert_eq!(scene.look_at(5), []);
    }
}
