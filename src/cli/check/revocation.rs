//! How revocation is looked at, and what the lists say of themselves.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use super::{Problems, days_until};
use crate::config::{self, Config, StaleCrl};
use crate::tls::certificate::utc;
use crate::tls::client_auth::ClientTrust;
use crate::tls::material::read_revocation_lists;
use crate::tls::revocation;

/// The keys of `[client_certificate]` about revocation, and what their files hold.
#[derive(Debug, Serialize)]
pub(super) struct RevocationReport {
    /// What becomes of a caller for whom no current list speaks.
    pub(super) stale_crl: &'static str,
    /// Those of files that could be read.
    pub(super) lists: Vec<List>,
    /// Where lists will be fetched from, as far as the anchors say; their callers' may say more.
    pub(super) places: Vec<String>,
    pub(super) cache: Option<PathBuf>,
}

/// One list of a file.
#[derive(Debug, Serialize)]
pub(super) struct List {
    pub(super) path: PathBuf,
    pub(super) this_update: String,
    pub(super) next_update: String,
    pub(super) days_left: i64,
    #[serde(rename = "stale")]
    pub(super) is_stale: bool,
    /// How many certificates it names.
    pub(super) revoked: usize,
}

impl List {
    fn new(path: &std::path::Path, list: &revocation::RevocationList, now: SystemTime) -> Self {
        Self {
            path: path.to_owned(),
            this_update: utc(list.this_update()),
            next_update: utc(list.next_update()),
            days_left: days_until(list.next_update(), now),
            is_stale: list.is_stale_at(now),
            revoked: list.revoked(),
        }
    }
}

/// `None` if nobody looks at revocation. `trust` is what the configuration comes to, if it does.
pub(super) fn inspect(
    config: &Config,
    trust: Option<&ClientTrust>,
    now: SystemTime,
    problems: &mut Problems,
) -> Option<RevocationReport> {
    let settings = &config.client_certificate.as_ref().filter(|c| c.crl.is_checked())?.crl;
    let lists = lists(settings, now);
    for list in lists.iter().filter(|list| list.is_stale) {
        let List { path, next_update, .. } = list;
        let path = path.display();
        problems.warn(match settings.stale {
            StaleCrl::Refuse => format!(
                "revocation list `{path}` is stale since {next_update}, so the callers of its CA \
                 are refused; get a current one"
            ),
            StaleCrl::Warn => format!(
                "revocation list `{path}` is stale since {next_update}, so callers that it does \
                 not name are let in unchecked; get a current one"
            ),
        });
    }
    Some(RevocationReport {
        stale_crl: match settings.stale {
            StaleCrl::Refuse => "refuse",
            StaleCrl::Warn => "warn",
        },
        lists,
        places: trust.map_or_else(Vec::new, ClientTrust::places),
        cache: settings.cache.clone(),
    })
}

/// What cannot be read is among the errors already.
fn lists(settings: &config::Crl, now: SystemTime) -> Vec<List> {
    let mut found = Vec::new();
    for path in &settings.files {
        let lists = read_revocation_lists(path, settings.max_bytes.get()).unwrap_or_default();
        found.extend(lists.iter().map(|list| List::new(path, list, now)));
    }
    found
}
