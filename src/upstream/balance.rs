//! Which server of an upstream is tried next.

use super::target::UpstreamServer;

/// The servers in the order in which a request tries them, until one takes it: available ones before
/// those that are ejected or unhealthy, the least busy first, `turn` breaking ties; last of all the
/// one that had the request before and gave no answer, however idle it is since.
///
/// Never fewer than two attempts: a single server whose connect failed is tried once more.
pub(super) fn order(
    servers: &[UpstreamServer],
    turn: usize,
    had_it_before: Option<usize>,
) -> Vec<usize> {
    if servers.len() < 2 {
        return vec![0, 0];
    }
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.rotate_left(turn % servers.len());
    order.sort_by_key(|index| {
        servers.get(*index).map(|server| {
            let health = &server.health;
            (had_it_before == Some(*index), health.rank(), health.load())
        })
    });
    order
}
