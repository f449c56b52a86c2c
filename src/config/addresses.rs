//! Every address to bind, and the protocol spoken there.

use std::net::SocketAddr;

use super::Config;

/// The protocol spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// TLS, by callers.
    Tls,
    /// Plain HTTP, by trusted proxies alone.
    PlainFromProxies,
    /// Plain HTTP, by whoever is to be sent to https.
    PlainToRedirect,
}

impl Config {
    /// Every address to bind for callers: those for TLS, for trusted proxies, for the redirect.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = self.server.addresses();
        addresses.extend(self.redirect.iter().flat_map(|redirect| &redirect.listen));
        addresses
    }

    /// The protocol spoken at this address, as it was configured.
    pub fn protocol_at(&self, address: SocketAddr) -> ListenerProtocol {
        if self.redirect.as_ref().is_some_and(|redirect| redirect.listen.contains(&address)) {
            ListenerProtocol::PlainToRedirect
        } else if self.server.is_plain(address) {
            ListenerProtocol::PlainFromProxies
        } else {
            ListenerProtocol::Tls
        }
    }
}
