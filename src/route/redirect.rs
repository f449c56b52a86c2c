//! `[redirect]`, ready to use: the one route of plain HTTP.

use std::sync::Arc;

use crate::config;
use crate::telemetry::metrics::{Metrics, REDIRECT, RouteMetrics};

/// Settings, name and metrics of the redirect to https.
pub(crate) struct RedirectRoute {
    pub(crate) settings: config::Redirect,
    pub(crate) name: Arc<str>,
    pub(crate) metrics: Arc<RouteMetrics>,
}

impl RedirectRoute {
    pub(crate) fn new(settings: &config::Redirect, metrics: &Metrics) -> Self {
        let nothing_signed = std::iter::empty::<&str>();
        Self {
            settings: settings.clone(),
            name: REDIRECT.into(),
            metrics: Arc::new(metrics.route(REDIRECT, nothing_signed)),
        }
    }
}
