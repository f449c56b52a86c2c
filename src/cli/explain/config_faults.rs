//! What the faults of a configuration mean.

use super::explanation::Explanation;

pub(super) const UNREADABLE: Explanation = Explanation {
    meaning: "The configuration file itself cannot be read, or is not UTF-8.",
    causes: &[
        "another path was meant; without --config it is /etc/hubgate/config.toml",
        "the user that runs this may not read it",
        "the file was saved in another encoding",
    ],
    next: "ls -l /etc/hubgate/config.toml",
};

pub(super) const SYNTAX: Explanation = Explanation {
    meaning: "A line of the configuration is not TOML.",
    causes: &[
        "a text without its quotes, or with only one of them",
        "a list or a table that is not closed; the fault may lie above the line",
        "the same key twice in one section",
    ],
    next: "hubgate check",
};

pub(super) const UNKNOWN_KEY: Explanation = Explanation {
    meaning: "A key is not one that this version knows; unknown keys are refused, so that no typing error goes unnoticed.",
    causes: &[
        "a typing error; a known key that looks alike is named",
        "the key stands in the wrong section, perhaps below a [[section]] that was put above it",
        "the file is of a newer version",
    ],
    next: "hubgate check",
};

pub(super) const MISSING_KEY: Explanation = Explanation {
    meaning: "A key that has no default is not there.",
    causes: &[
        "the section was begun and not finished",
        "the key stands below another section's head, and so belongs to that one",
    ],
    next: "hubgate check",
};

pub(super) const WRONG_TYPE: Explanation = Explanation {
    meaning: "A value is of another type than its key takes.",
    causes: &[
        "a number or true in quotes, or a text without them",
        "one value where a list is taken, or a list where one value is",
    ],
    next: "hubgate check",
};

pub(super) const UNKNOWN_WORD: Explanation = Explanation {
    meaning: "A value is not one of the words that its key takes.",
    causes: &[
        "a typing error; the message lists the words",
        "capital letters: the words are in lower case",
    ],
    next: "hubgate check",
};

pub(super) const OUT_OF_RANGE: Explanation = Explanation {
    meaning: "A number is zero where that would let nothing in, or outside of what makes sense.",
    causes: &[
        "the unit is another than was meant: _ms is milliseconds, _bytes is bytes",
        "0 was meant as \"unlimited\"; everything here has a limit",
    ],
    next: "hubgate check",
};

pub(super) const LIMITS_CONTRADICT: Explanation = Explanation {
    meaning: "Two limits contradict each other: one of them could never be reached.",
    causes: &[
        "one of the two was changed and the other forgotten",
        "a default stands against a value that was written; the message names both",
    ],
    next: "hubgate check",
};

pub(super) const EMPTY: Explanation = Explanation {
    meaning: "A list or a text is empty where something is needed.",
    causes: &["a placeholder was never filled in", "everything in the list was commented out"],
    next: "hubgate check",
};

pub(super) const CONTROL_CHARACTER: Explanation = Explanation {
    meaning: "A value has a control character, which would break log lines or end a text elsewhere.",
    causes: &["a text that was pasted with its newline or tab"],
    next: "hubgate check",
};

pub(super) const DUPLICATE: Explanation = Explanation {
    meaning: "Two things that must differ are the same: names, labels, addresses, or the host and path of two routes.",
    causes: &[
        "a section was copied and not changed everywhere",
        "two files of secrets or anchors have the same name in different directories; give one a label",
    ],
    next: "hubgate check",
};

pub(super) const CONTRADICTION: Explanation = Explanation {
    meaning: "Two keys stand side by side of which one has no use beside the other.",
    causes: &[
        "a key about TLS, such as `ca`, for an upstream that is not https",
        "`url` and `servers` for one upstream",
        "a `verify_token` with verification = \"off\"",
    ],
    next: "hubgate check",
};

pub(super) const ADDRESS_INVALID: Explanation = Explanation {
    meaning: "A value is not an IP address and a port.",
    causes: &["a host name, or a port alone", "an IPv6 address without its brackets"],
    next: "hubgate check",
};

pub(super) const NETWORK_INVALID: Explanation = Explanation {
    meaning: "A value is neither a network in CIDR form nor an IP address.",
    causes: &[
        "a host name in place of an address",
        "bits behind the prefix: 10.0.0.1/8 is either 10.0.0.0/8 or 10.0.0.1",
        "a range or a mask in another form, such as 10.0.0.0/255.0.0.0",
    ],
    next: "hubgate check",
};

pub(super) const PROXIES_MISSING: Explanation = Explanation {
    meaning: "A key trusts a load balancer, and no network says where the load balancer is.",
    causes: &[
        "server.plain_listen without server.trusted_proxies: name the subnets of the load balancer",
        "client_certificate.source is \"alb\" or \"alb_passthrough\": the same",
    ],
    next: "hubgate check",
};

pub(super) const NOT_LOOPBACK: Explanation = Explanation {
    meaning: "The admin listener would be open to other machines; it has no access control.",
    causes: &[
        "admin.listen is 0.0.0.0 or [::] so that a monitor can reach it; let an agent on this machine ask",
    ],
    next: "hubgate check",
};

pub(super) const URL_INVALID: Explanation = Explanation {
    meaning: "An upstream's address cannot be used.",
    causes: &[
        "no http://, https:// or unix: before it",
        "a path, a query or a user name behind the host: the request's own path is kept",
        "a port that is no number from 1 to 65535",
        "a unix: path that is not absolute, or longer than the system takes",
    ],
    next: "hubgate check",
};

pub(super) const PATH_INVALID: Explanation = Explanation {
    meaning: "A route's path is one that no request can have.",
    causes: &[
        "it does not begin with a slash",
        "it has a query, a percent-encoding or a blank",
        "it has an empty segment, `.` or `..`",
    ],
    next: "hubgate check",
};

pub(super) const HOST_INVALID: Explanation = Explanation {
    meaning: "A route's host is not a name or an address.",
    causes: &[
        "it has a port; requests are matched by the name alone",
        "it is a whole URL",
        "it has a wildcard",
    ],
    next: "hubgate check",
};

pub(super) const METHOD_INVALID: Explanation = Explanation {
    meaning: "A site's method is not one that it can have.",
    causes: &["lower case: methods are in upper case", "CONNECT or TRACE, which are never passed"],
    next: "hubgate check",
};

pub(super) const HEADER_NAME_INVALID: Explanation = Explanation {
    meaning: "A name in identity_header_names is one that cannot be used for that.",
    causes: &[
        "a character that is no letter, digit, `-` or `_`",
        "a header of HTTP itself, such as Host, or one that hubgate sets to something else, such as \
         X-Forwarded-For or Client-Cert",
    ],
    next: "hubgate check",
};

pub(super) const UPSTREAM_UNKNOWN: Explanation = Explanation {
    meaning: "A route names an upstream that is not there.",
    causes: &[
        "a typing error; the message lists the names",
        "the [[upstream]] was renamed or taken out",
    ],
    next: "hubgate check",
};

pub(super) const FILE_UNUSABLE: Explanation = Explanation {
    meaning: "A file or directory that the configuration names cannot be used.",
    causes: &[
        "it is not there; relative paths start at the directory of the configuration",
        "the user that runs this may not read it: under systemd a DynamicUser, which needs LoadCredential=",
        "a directory where a file is needed, or the other way round",
    ],
    next: "hubgate check",
};

pub(super) const SECRET_INLINE: Explanation = Explanation {
    meaning: "A secret stands in the configuration itself, where everybody who may read that could read it.",
    causes: &[
        "the secret was written in place of its source: { file = \"..\" }, { env = \"..\" } or { credential = \"..\" }",
        "take it out, and reset it if the file was shared",
    ],
    next: "install -m 0600 /dev/stdin /etc/hubgate/secrets/app-secret",
};

pub(super) const SECRET_SOURCE: Explanation = Explanation {
    meaning: "The source of a secret is not one of the three that there are.",
    causes: &[
        "none of file, env and credential is named, or several are",
        "a credential is named by its path; its plain name is meant",
    ],
    next: "hubgate check",
};

pub(super) const SECRET_INVALID: Explanation = Explanation {
    meaning: "A secret is empty, longer than any secret, or, as an upstream's proof, too short or known to others.",
    causes: &[
        "the file was made and never filled",
        "the variable is set to nothing",
        "another file is named, such as a certificate",
        "a proof of fewer than 32 bytes, or one that is an app secret or a verify token: it must be hubgate's \
         and the application's alone, as `openssl rand -hex 32` makes one",
    ],
    next: "hubgate check",
};

pub(super) const VARIABLE_MISSING: Explanation = Explanation {
    meaning: "An environment variable that a secret is to come from is not set.",
    causes: &[
        "it is set in a shell, and the service has an environment of its own",
        "a typing error in its name",
        "`hubgate check` was run by hand, without the service's environment",
    ],
    next: "systemctl show hubgate -p Environment -p EnvironmentFiles",
};

pub(super) const CREDENTIALS_MISSING: Explanation = Explanation {
    meaning: "A systemd credential is named, and the process was started without credentials.",
    causes: &[
        "`hubgate check` was run by hand: set CREDENTIALS_DIRECTORY to a directory with files of these names",
        "the unit has no LoadCredential= for it",
        "hubgate was not started by systemd",
    ],
    next: "systemctl show hubgate -p LoadCredential",
};

pub(super) const ANCHORS_MISSING: Explanation = Explanation {
    meaning: "A webhook demands a client certificate, and no CA is configured that could vouch for one.",
    causes: &[
        "the section [client_certificate] is missing, or has no trust_anchors",
        "mTLS is not switched on for the app: then client_certificate = \"none\" is meant",
    ],
    next: "hubgate check",
};

pub(super) const TOKEN_MISSING: Explanation = Explanation {
    meaning: "A webhook has no verify_token, so no verification request could be answered.",
    causes: &[
        "the token was forgotten",
        "the application has answered them so far: verification = \"forward\" still needs the token here",
        "verification is not wanted: verification = \"off\" says so",
    ],
    next: "hubgate check",
};

pub(super) const PROOF_MISSING: Explanation = Explanation {
    meaning: "signature = \"report\" stands on a webhook that demands no client certificate: anybody could send.",
    causes: &[
        "report was meant to last for a day, and mTLS was switched off meanwhile",
        "the route never had mTLS; then its signature is the only proof and must be enforced",
    ],
    next: "hubgate check",
};
