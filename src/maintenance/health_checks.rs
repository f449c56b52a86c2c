//! Asks the servers of the upstreams that have a `health_check` how they are, each in its own time.
//!
//! Once a process, whatever the number of workers: what is learned here is shared by all of them.

use std::error::Error;
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::HealthCheck;
use crate::generation::Generation;
use crate::lifecycle::Change;
use crate::state::ProcessState;
use crate::telemetry::metrics::Metrics;
use crate::upstream::Target;
use crate::upstream::probe::{Streak, ask};

/// Asks for as long as something is served; begins anew with each generation.
pub(super) async fn watch(shared: &ProcessState) {
    let mut watcher = shared.watcher.clone();
    loop {
        let generation = shared.generation.load_full();
        let asking = begin(&generation, &shared.metrics);
        loop {
            if watcher.changed().await == Change::Draining {
                return;
            }
            // Revocation lists are swapped, too.
            if !Arc::ptr_eq(&generation, &shared.generation.load()) {
                break;
            }
        }
        drop(asking);
    }
}

/// A task for each server; they end with what is returned.
fn begin(generation: &Arc<Generation>, metrics: &Arc<Metrics>) -> JoinSet<()> {
    let mut asking = JoinSet::new();
    for target in &generation.upstreams {
        let Some(check) = &target.settings.health_check else { continue };
        for index in 0..target.servers.len() {
            let (generation, metrics) = (Arc::clone(generation), Arc::clone(metrics));
            let (target, check) = (Arc::clone(target), check.clone());
            asking.spawn_local(async move {
                ask_again_and_again(&generation, &target, index, &check, &metrics).await;
            });
        }
    }
    asking
}

async fn ask_again_and_again(
    generation: &Generation,
    target: &Target,
    index: usize,
    check: &HealthCheck,
    metrics: &Metrics,
) {
    let (Some(server), Some(address)) =
        (target.servers.get(index), target.settings.servers.get(index))
    else {
        return;
    };
    let (upstream, url) = (target.settings.name.as_str(), address.to_string());
    let mut streak = Streak::default();
    let mut pause = tokio::time::interval(check.interval);
    // A question that took long does not bring the next ones nearer together.
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        let answer = ask(target, server, check).await;
        let Some(is_healthy) = streak.judge(answer.is_ok(), check) else { continue };
        if !server.health.set_healthy(is_healthy) {
            continue;
        }
        show(generation, metrics);
        match answer {
            Ok(()) => info!(upstream, server = url, "server is healthy again"),
            Err(complaint) => {
                let cause = complaint.source().map(ToString::to_string);
                warn!(upstream, server = url, %complaint, cause, "server is unhealthy");
            }
        }
    }
}

/// Shows the verdict on each server that is asked.
pub(super) fn show(generation: &Generation, metrics: &Metrics) {
    let asked = generation.upstreams.iter().filter(|target| target.settings.health_check.is_some());
    metrics.show_server_health(asked.flat_map(|target| {
        let servers = target.settings.servers.iter().zip(&target.servers);
        servers.map(|(address, server)| {
            let name = target.settings.name.as_str();
            (name, address.to_string(), server.health.is_healthy())
        })
    }));
}
