//! Clients that a load balancer's headers proved, remembered so that each is proven once.

use std::sync::Arc;

use http::HeaderName;

use super::VerifiedClient;
use crate::telemetry::metrics::AnchorMetrics;

/// Header values that were proven in one worker and generation, the newest first.
#[derive(Default)]
pub(crate) struct RememberedClients(Vec<RememberedClient>);

/// One of them.
pub(crate) struct RememberedClient {
    header: HeaderName,
    value: Box<[u8]>,
    pub(crate) client: Arc<VerifiedClient>,
    pub(crate) anchor: AnchorMetrics,
}

impl RememberedClients {
    pub(crate) fn find(&self, (header, value): (&HeaderName, &[u8])) -> Option<&RememberedClient> {
        self.0.iter().find(|known| *known.value == *value && known.header == *header)
    }

    pub(crate) fn remember(
        &mut self,
        (header, value): (&HeaderName, &[u8]),
        client: &Arc<VerifiedClient>,
        anchor: AnchorMetrics,
    ) {
        self.0.retain(|known| *known.value != *value || known.header != *header);
        self.0.truncate(CLIENTS_MAX - 1);
        let (header, value) = (header.clone(), value.into());
        self.0.insert(0, RememberedClient { header, value, client: Arc::clone(client), anchor });
    }
}

/// Meta sends from a handful of certificates; more would be a new world.
const CLIENTS_MAX: usize = 16;
