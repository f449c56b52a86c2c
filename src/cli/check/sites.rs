//! The routes that pass through without proof.

use serde::Serialize;

use crate::config::Config;

/// One site.
#[derive(Debug, Serialize)]
pub(super) struct SiteReport {
    pub(super) name: String,
    pub(super) path: String,
    /// Not only this path, but everything below it.
    #[serde(rename = "prefix")]
    pub(super) is_prefix: bool,
    /// Not there: any.
    pub(super) host: Option<String>,
    /// Empty: any but CONNECT and TRACE.
    pub(super) methods: Vec<String>,
    pub(super) websocket: bool,
    pub(super) upstream: String,
}

pub(super) fn inspect(config: &Config) -> Vec<SiteReport> {
    let sites = config.sites.iter().map(|site| SiteReport {
        name: site.name.clone(),
        path: site.path.clone(),
        is_prefix: site.is_prefix,
        host: site.host.clone(),
        methods: site.methods.iter().map(ToString::to_string).collect(),
        websocket: site.websocket,
        upstream: super::upstream_name(config, site.upstream),
    });
    sites.collect()
}
