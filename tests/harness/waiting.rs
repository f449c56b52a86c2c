//! Waits for a state, for next to no processor time: the other tests and the program need it.

use std::net::SocketAddr;
use std::process::Child;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What `look` finds within [`PATIENCE`]; the caller says what was not found. Looks at once, and
/// then every [`INTERVAL`].
pub async fn found<T>(look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    timeout(PATIENCE, looking(look)).await.ok()
}

/// Whether it comes true within [`PATIENCE`], as [`found`] looks.
#[must_use]
pub async fn comes_true(mut is_true: impl AsyncFnMut() -> bool) -> bool {
    found(async || is_true().await.then_some(())).await.is_some()
}

/// Waits until nobody can connect to this address any more.
pub async fn until_deserted(address: SocketAddr) {
    let is_deserted = comes_true(async || TcpStream::connect(address).await.is_err()).await;
    assert!(is_deserted, "{address} still accepts");
}

/// Waits until a process that was just started accepts on this address.
pub async fn until_bound(address: SocketAddr, process: &mut Child) {
    let bound = looking(async || {
        let ended = process.try_wait().unwrap();
        assert!(ended.is_none(), "the process for {address} ended: {ended:?}");
        TcpStream::connect(address).await.ok()
    });
    timeout(START_PATIENCE, bound).await.expect("the process must start");
}

async fn looking<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
    }
}

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(2);

/// Nothing in these tests takes longer, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The same for somebody else's program.
const START_PATIENCE: Duration = Duration::from_secs(60);
