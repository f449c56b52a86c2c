//! Who may ask, how often, and what is answered without an application.

use super::{Outcome, Row};

pub(super) const TABLE: &[Row] = &[
    (
        &[
            "limit_req",
            "limit_req_zone",
            "limit_req_status",
            "limit_req_log_level",
            "limit_req_dry_run",
            "limit_conn",
            "limit_conn_zone",
            "limit_conn_status",
            "limit_conn_log_level",
            "limit_rate",
            "limit_rate_after",
        ],
        Outcome::Missing,
        "hubgate limits all callers together (`[limits]`), not each: let the application count \
         those that must be slowed down",
    ),
    (
        &["allow", "deny"],
        Outcome::Missing,
        "hubgate judges by proof, not by address, which of Meta proves nothing; for other paths \
         use a firewall",
    ),
    (
        &[
            "auth_basic",
            "auth_basic_user_file",
            "auth_request",
            "auth_request_set",
            "satisfy",
            "secure_link",
            "secure_link_md5",
            "secure_link_secret",
            "valid_referers",
        ],
        Outcome::Missing,
        "hubgate lets nobody log in: the application has to ask",
    ),
    (&["internal"], Outcome::Missing, "hubgate has no internal redirects"),
    (
        &["rewrite", "return", "break", "try_files"],
        Outcome::Missing,
        "hubgate neither changes paths nor answers by itself: let the application do it",
    ),
];
