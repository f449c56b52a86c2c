//! Names of headers that only we may set: those from which applications learn who a caller is, where
//! it came from, and which address, path or method it asked for.

use std::fmt;

/// What applications trust a reserved header to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderClaim {
    /// Who calls: a certificate, a user.
    Identity,
    /// Where a caller connects from.
    Address,
    /// Scheme, host and port that were asked for.
    Origin,
    /// The path that was asked for.
    Path,
    /// The method that was asked for.
    Method,
    /// What servers and frameworks tell themselves.
    Internal,
}

impl HeaderClaim {
    /// Each once.
    pub const ALL: [Self; 6] =
        [Self::Identity, Self::Address, Self::Origin, Self::Path, Self::Method, Self::Internal];
}

impl fmt::Display for HeaderClaim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Identity => "who calls",
            Self::Address => "where the caller connects from",
            Self::Origin => "scheme, host and port that were asked for",
            Self::Path => "the path that was asked for",
            Self::Method => "the method that was asked for",
            Self::Internal => "what servers and frameworks tell themselves",
        })
    }
}

/// One name, or with `*` at its end every name that begins so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedHeader {
    /// In lower case.
    pub name: &'static str,
    /// What applications trust it to say.
    pub claim: HeaderClaim,
}

/// Whether this name, in lower case, is among [`RESERVED_HEADERS`].
pub(super) fn is_reserved(name: &str) -> bool {
    // Nearly all names that callers send begin otherwise.
    if !name.as_bytes().first().is_some_and(|first| FIRST_LETTERS.contains(first)) {
        return false;
    }
    // The greatest that is not above the name: none begins with one that ends in `*`, so what does
    // begin the name is that one.
    let after = RESERVED_HEADERS.partition_point(|reserved| reserved.beginning() <= name);
    let last = after.checked_sub(1).and_then(|last| RESERVED_HEADERS.get(last));
    last.is_some_and(|reserved| reserved.has(name))
}

impl ReservedHeader {
    const fn new(name: &'static str, claim: HeaderClaim) -> Self {
        Self { name, claim }
    }

    fn beginning(&self) -> &'static str {
        self.name.strip_suffix('*').unwrap_or(self.name)
    }

    fn has(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.name,
        }
    }
}

const fn who(name: &'static str) -> ReservedHeader {
    ReservedHeader::new(name, HeaderClaim::Identity)
}

const fn whence(name: &'static str) -> ReservedHeader {
    ReservedHeader::new(name, HeaderClaim::Address)
}

const fn origin(name: &'static str) -> ReservedHeader {
    ReservedHeader::new(name, HeaderClaim::Origin)
}

const fn path(name: &'static str) -> ReservedHeader {
    ReservedHeader::new(name, HeaderClaim::Path)
}

const fn method(name: &'static str) -> ReservedHeader {
    ReservedHeader::new(name, HeaderClaim::Method)
}

const fn internal(name: &'static str) -> ReservedHeader {
    ReservedHeader::new(name, HeaderClaim::Internal)
}

/// Sorted, and none begins with another one that ends in `*`; a test holds both.
pub const RESERVED_HEADERS: [ReservedHeader; 147] = [
    whence("ali-cdn-real-ip"),
    who("cas-user"),
    whence("cdn-client-ip"),
    whence("cdn-real-ip"),
    whence("cdn-src-ip"),
    who("cf-access-authenticated-user-*"),
    whence("cf-connecting-*"),
    whence("cf-ipcountry"),
    whence("cf-pseudo-ipv4"),
    origin("cf-visitor"),
    who("client-cert*"),
    whence("client-ip"),
    origin("cloudfront-forwarded-proto"),
    whence("cloudfront-viewer-*"),
    whence("do-connecting-ip"),
    whence("fastly-client*"),
    origin("fastly-ssl"),
    whence("fly-client-ip"),
    whence("fly-forwarded-*"),
    whence("forwarded"),
    whence("forwarded-*"),
    origin("front-end-https"),
    origin("https"),
    whence("incap-client-ip"),
    who("iv-creds"),
    who("iv-groups"),
    who("iv-remote-address"),
    who("iv-user*"),
    who("ms-aspnetcore-*"),
    who("oam-*"),
    who("oidc-*"),
    path("path-info"),
    path("path-translated"),
    internal("proxy"),
    whence("proxy-client-ip"),
    whence("real-ip"),
    who("remote-*"),
    path("request-uri"),
    path("script-name"),
    who("shib-*"),
    who("sm-user*"),
    who("ssl-client-*"),
    whence("true-client-ip"),
    whence("wl-proxy-*"),
    internal("x-accel-*"),
    whence("x-akamai-client-ip"),
    who("x-amzn-mtls-*"),
    who("x-amzn-oidc-*"),
    who("x-anonymous-consumer"),
    who("x-apigateway-api-userinfo"),
    who("x-appengine-*"),
    who("x-arr-clientcert*"),
    origin("x-arr-ssl"),
    who("x-auth-email"),
    who("x-auth-groups"),
    who("x-auth-request-*"),
    who("x-auth-roles"),
    who("x-auth-user*"),
    who("x-authenticated-*"),
    who("x-authentik-*"),
    whence("x-azure-clientip"),
    whence("x-azure-socketip"),
    origin("x-backend-host"),
    who("x-client-cert*"),
    who("x-client-cn"),
    who("x-client-dn*"),
    who("x-client-fingerprint"),
    who("x-client-i-dn"),
    whence("x-client-ip*"),
    who("x-client-issuer"),
    who("x-client-s-dn"),
    who("x-client-san"),
    who("x-client-serial"),
    who("x-client-subject"),
    who("x-client-verify*"),
    whence("x-cluster-client-ip"),
    whence("x-coming-from"),
    who("x-consumer-*"),
    who("x-credential-identifier"),
    whence("x-custom-ip-authorization"),
    who("x-endpoint-api-userinfo"),
    whence("x-envoy-*"),
    whence("x-forward-*"),
    whence("x-forwarded"),
    whence("x-forwarded-*"),
    who("x-goog-authenticated-user-*"),
    origin("x-host"),
    path("x-http-destinationurl"),
    origin("x-http-host-override"),
    method("x-http-method*"),
    who("x-hubgate-*"),
    who("x-iis-windowsauthtoken"),
    whence("x-incap-client-ip"),
    path("x-ingress-path"),
    path("x-invoke-*"),
    who("x-jwt-claim*"),
    path("x-matched-path"),
    method("x-method"),
    method("x-method-override"),
    internal("x-middleware-next"),
    internal("x-middleware-override-headers"),
    internal("x-middleware-redirect"),
    internal("x-middleware-rewrite"),
    internal("x-middleware-set-cookie"),
    internal("x-middleware-skip"),
    internal("x-middleware-subrequest*"),
    who("x-ms-client-principal*"),
    whence("x-nf-client-connection-ip"),
    path("x-now-route-matches"),
    path("x-original-*"),
    whence("x-originating-*"),
    path("x-override-*"),
    path("x-path-info"),
    who("x-pomerium-claim*"),
    origin("x-proxy-host"),
    path("x-proxy-url"),
    who("x-proxy-user"),
    whence("x-proxyuser-ip"),
    whence("x-real-*"),
    who("x-remote-*"),
    path("x-replaced-path"),
    who("x-request-id*"),
    path("x-rewrite-*"),
    origin("x-scheme"),
    path("x-script-name"),
    internal("x-sendfile*"),
    origin("x-server-name"),
    who("x-shib-*"),
    whence("x-source-ip"),
    who("x-spiffe-*"),
    who("x-ssl-*"),
    who("x-sso-user*"),
    whence("x-sucuri-clientip"),
    who("x-tls-client-*"),
    whence("x-true-client-ip"),
    whence("x-true-ip"),
    who("x-trusted-user*"),
    path("x-uri"),
    origin("x-url-scheme"),
    whence("x-user-ip"),
    who("x-userinfo"),
    whence("x-vercel-forwarded-*"),
    whence("x-vercel-ip-*"),
    whence("x-vercel-proxied-*"),
    who("x-vouch-*"),
    path("x-waws-unencoded-url"),
    who("x-webauth-*"),
];

const FIRST_LETTERS: &[u8] = b"acdfhimoprstwx";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sorted_without_overlap_and_its_first_letters_are_known() {
        for pair in RESERVED_HEADERS.windows(2) {
            let [one, next] = pair else { continue };
            assert!(one.beginning() < next.beginning(), "{one:?} {next:?}");
        }
        for wide in RESERVED_HEADERS.iter().filter(|reserved| reserved.name.ends_with('*')) {
            let narrow = RESERVED_HEADERS
                .iter()
                .find(|other| *other != wide && other.beginning().starts_with(wide.beginning()));
            assert_eq!(narrow, None, "{wide:?} has it already");
        }
        let letters: BTreeSet<_> =
            RESERVED_HEADERS.iter().filter_map(|reserved| reserved.name.bytes().next()).collect();
        assert_eq!(letters.into_iter().collect::<Vec<_>>(), FIRST_LETTERS);
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(RESERVED_HEADERS.iter().all(|reserved| reserved.beginning().bytes().all(is_plain)));
    }

    #[test]
    fn a_name_is_reserved_whole_or_by_its_beginning() {
        for reserved in RESERVED_HEADERS {
            let beginning = reserved.beginning();
            let longer = format!("{beginning}zz");
            let is_wide = reserved.name.ends_with('*');
            assert!(is_reserved(beginning), "{beginning}");
            assert_eq!(is_reserved(&longer), is_wide, "{longer}");
            // What only ends alike is another name.
            assert!(
                !is_reserved(&format!("z{beginning}")) && !is_reserved(&format!("y-{beginning}"))
            );
        }
    }

    #[test]
    fn what_clients_say_of_themselves_is_their_own() {
        for name in [
            "accept-language",
            "access-control-request-headers",
            "authorization",
            "cache-control",
            "content-disposition",
            "cookie",
            "dnt",
            "forward",
            "from",
            "idempotency-key",
            "if-none-match",
            "origin",
            "pragma",
            "range",
            "referer",
            "sec-fetch-site",
            "sec-websocket-key",
            "traceparent",
            "user-agent",
            "via",
            "x-api-key",
            "x-auth-token",
            "x-client",
            "x-client-id",
            "x-client-version",
            "x-correlation-id",
            "x-csrf-token",
            "x-hub-signature",
            "x-hub-signature-256",
            "x-middleware-prefetch",
            "x-requested-with",
            "x-user-agent",
            "x-user-id",
            "x-xsrf-token",
            "z",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
