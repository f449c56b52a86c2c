//! The configuration that is being put together, before it becomes text.

/// Everything that is written down.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) server: ServerDraft,
    pub(super) trust_anchors: Vec<String>,
    pub(super) common_names: Vec<String>,
    pub(super) verify_depth: Option<u64>,
    /// Keys of `[limits]` with their values.
    pub(super) limits: Vec<(&'static str, u64)>,
    pub(super) upstreams: Vec<UpstreamDraft>,
    pub(super) routes: Vec<RouteDraft>,
    pub(super) redirect: Option<RedirectDraft>,
}

/// `[server]`
#[derive(Debug, Default)]
pub(super) struct ServerDraft {
    pub(super) listen: Vec<String>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) workers: Option<u64>,
    pub(super) refuses_unknown_sni: bool,
    pub(super) proxy_protocol_from: Option<Vec<String>>,
    pub(super) trusted_proxies: Vec<String>,
}

/// A certificate of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) certificate: String,
    pub(super) private_key: String,
}

/// `[[upstream]]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UpstreamDraft {
    pub(super) name: String,
    pub(super) servers: Vec<String>,
    /// Of a webhook's exchange, if one of them says so.
    pub(super) timeout_ms: Option<u64>,
    pub(super) settings: Settings,
}

/// What nginx says in each location, and hubgate once for an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) sends_own_host: bool,
    /// Which header carries what of the client certificate.
    pub(super) identity: Vec<(&'static str, String)>,
    pub(super) connect_timeout_ms: Option<u64>,
    pub(super) ca: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_private_key: Option<String>,
}

/// A route of some kind.
#[derive(Clone, Debug)]
pub(super) struct RouteDraft {
    pub(super) kind: RouteKind,
    pub(super) host: Option<String>,
    pub(super) path: String,
    pub(super) is_exact: bool,
    /// The location that it comes from.
    pub(super) origin: usize,
}

/// What a route does.
#[derive(Clone, Debug)]
pub(super) enum RouteKind {
    /// Lets in what Meta sent.
    Webhook { upstream: usize, body_max_bytes: Option<u64> },
    /// Passes through.
    Site(SiteDraft),
    /// Must not fall to a wider site: each reason says why.
    Closed { reasons: Vec<String> },
    /// Nothing to write but comments: no route leads there.
    Nothing,
}

/// `[[site]]`, as far as it is no route.
#[derive(Clone, Debug)]
pub(super) struct SiteDraft {
    pub(super) upstream: usize,
    pub(super) methods: Vec<String>,
    /// What begins like one of these is not carried.
    pub(super) except: Vec<String>,
    pub(super) websocket: bool,
    pub(super) body_max_bytes: u64,
    pub(super) timeout_ms: Option<u64>,
    pub(super) idle_timeout_ms: Option<u64>,
}

/// `[redirect]`
#[derive(Debug, Default)]
pub(super) struct RedirectDraft {
    pub(super) listen: Vec<String>,
    pub(super) acme_directory: Option<String>,
}

impl RouteDraft {
    /// Whether every path of `other` would come here if `other` were not there.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self.host != other.host && self.host.is_some() {
            return false;
        }
        let below = other.path.strip_prefix(self.path.trim_end_matches('/'));
        match self.is_exact {
            true => other.is_exact && self.path == other.path,
            false => below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    pub(super) fn is_site(&self) -> bool {
        matches!(self.kind, RouteKind::Site(_))
    }
}
