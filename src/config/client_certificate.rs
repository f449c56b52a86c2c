//! `[client_certificate]`: which client certificates to accept.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::choices::{CertificateSource, CrlFetch, StaleCrl};
use super::fault::Fault;
use super::findings::{At, Findings};
use super::{file, names, numbers, paths};

/// `[client_certificate]`, checked.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// Where client certificates are found.
    pub source: CertificateSource,
    /// PEM files, each with one anchor or more; none only where a load balancer proves the chain.
    pub trust_anchors: Vec<TrustAnchor>,
    /// PEM files of anchors that are not trusted, but tried when the trusted ones fail, so as to
    /// tell what would have been accepted.
    pub candidate_anchors: Vec<TrustAnchor>,
    /// Subject common names that are let in, compared byte for byte; at least one.
    pub common_names: Vec<String>,
    /// How many certificates may be presented above the leaf.
    pub verify_depth: usize,
    /// How revocation is checked.
    pub crl: Crl,
}

/// The keys of `[client_certificate]` about revocation lists, checked.
#[derive(Clone, Debug)]
pub struct Crl {
    /// Files with lists, PEM or DER.
    pub files: Vec<PathBuf>,
    /// Whether lists are fetched, too.
    pub fetch: CrlFetch,
    /// Directory in which fetched lists outlive the process.
    pub cache: Option<PathBuf>,
    /// What becomes of a caller for whom there is no current list.
    pub stale: StaleCrl,
    /// Largest list that is taken; one byte more and it is none.
    pub max_bytes: NonZeroUsize,
    /// From the start of a fetch to the last byte; then it has failed.
    pub timeout: Duration,
    /// From one fetch of a list to the next, at least.
    pub refresh_min: Duration,
    /// From one fetch of a list to the next, at most.
    pub refresh_max: Duration,
}

/// One file of trust anchors.
#[derive(Clone, Debug)]
pub struct TrustAnchor {
    /// What logs and metrics call the anchors of this file; unique.
    pub label: String,
    /// Where the PEM is.
    pub path: PathBuf,
}

impl ClientCertificate {
    pub(super) fn check(
        written: &file::RawClientCertificate,
        findings: &mut Findings,
    ) -> Option<Self> {
        let source = written.source.as_ref().map_or(CertificateSource::Tls, |source| source.value);
        let anchors = written.trust_anchors.as_deref().unwrap_or_default();
        let anchors = TrustAnchor::check_all(anchors, findings);
        let candidates = TrustAnchor::check_all(&written.candidate_anchors, findings);
        let labels = anchors.iter().chain(&candidates).map(|(anchor, at)| (&anchor.label, *at));
        findings.must_differ(labels);
        for name in &written.common_names {
            // A NUL is among the control characters; C libraries would end the name there.
            names::visible(name, findings);
        }
        let given = written.common_names.iter();
        findings.must_differ(given.clone().map(|name| (&name.value, &name.at)));
        let verify_depth = numbers::within(&written.verify_depth, 0..=MAXIMUM_DEPTH, findings);
        let crl = Crl::check(&written.crl, findings);
        // Where a load balancer proves the chain, nothing else here may need one.
        let needs_none = source == CertificateSource::Alb
            && written.candidate_anchors.is_empty()
            && !crl.as_ref().is_some_and(Crl::is_checked);
        if written.trust_anchors.is_none() && !needs_none {
            findings.fault(&written.at.child("trust_anchors"), Fault::Missing);
        }
        Some(Self {
            source,
            trust_anchors: anchors.into_iter().map(|(anchor, _)| anchor).collect(),
            candidate_anchors: candidates.into_iter().map(|(anchor, _)| anchor).collect(),
            common_names: given.map(|name| name.value.clone()).collect(),
            verify_depth: usize::try_from(verify_depth).ok()?,
            crl: crl?,
        })
    }
}

impl Crl {
    /// Whether revocation is looked at at all.
    pub fn is_checked(&self) -> bool {
        !self.files.is_empty() || self.is_fetched()
    }

    /// Whether lists are fetched.
    pub fn is_fetched(&self) -> bool {
        self.fetch == CrlFetch::DistributionPoints
    }

    fn check(written: &file::RawCrl, findings: &mut Findings) -> Option<Self> {
        let files = &written.files;
        findings.must_differ(files.iter().map(|file| (&file.value, &file.at)));
        let files: Vec<_> = files.iter().map(|file| paths::readable(file, findings)).collect();
        let cache = written.cache.as_ref().map(|path| paths::directory(path, findings));
        let refresh_min = numbers::milliseconds(&written.refresh_min_ms, findings);
        let refresh_max = numbers::milliseconds(&written.refresh_max_ms, findings);
        if refresh_min > refresh_max {
            let maximum = written.refresh_max_ms.value;
            let key = "client_certificate.crl_refresh_max_ms";
            let fault = Fault::AboveMaximum { key, maximum };
            findings.fault(&written.refresh_min_ms.at, fault);
        }
        Some(Self {
            max_bytes: numbers::size(&written.max_bytes, 1..=MAXIMUM_LIST_BYTES, findings),
            timeout: numbers::milliseconds(&written.timeout_ms, findings),
            files: files.into_iter().collect::<Option<_>>()?,
            fetch: written.fetch,
            // An outer `None` is a key that is not there, an inner one a value that is no good.
            cache: cache.map_or(Some(None), |cache| cache.map(Some))?,
            stale: written.stale,
            refresh_min,
            refresh_max,
        })
    }
}

impl TrustAnchor {
    /// Every anchor of a list that can be used.
    fn check_all<'a>(
        written: &'a [file::RawTrustAnchor],
        findings: &mut Findings,
    ) -> Vec<(Self, &'a At)> {
        written.iter().filter_map(|anchor| Self::check(anchor, findings)).collect()
    }

    /// With the place of its label, or of what the label was taken from.
    fn check<'a>(
        written: &'a file::RawTrustAnchor,
        findings: &mut Findings,
    ) -> Option<(Self, &'a At)> {
        let path = paths::readable(&written.file, findings);
        let (label, at) = match &written.label {
            Some(label) => (names::visible(label, findings), &label.at),
            None => (Some(stem(Path::new(&written.file.value))), &written.file.at),
        };
        Some((Self { label: label?, path: path? }, at))
    }
}

/// The file's name without its ending, as a label.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Twice as many as webpki follows.
const MAXIMUM_DEPTH: u64 = 12;

/// 256 MiB: the largest lists of public CAs have some ten.
const MAXIMUM_LIST_BYTES: u64 = 1 << 28;

#[cfg(test)]
mod tests {
    use super::CertificateSource;
    use crate::config::fixture::{faults, load};

    /// With `rest` from line 3 on.
    fn section(rest: &str) -> String {
        format!("[client_certificate]\ntrust_anchors = [\"meta.pem\"]\n{rest}")
    }

    #[test]
    fn anchors_are_labelled_by_their_file_or_by_name() {
        let text = r#"[client_certificate]
                      trust_anchors = ["meta.pem", { file = "old.pem", label = "digicert" }]"#;

        let section = load(text).client_certificate.expect("is there");

        let labels: Vec<_> = section.trust_anchors.iter().map(|anchor| &anchor.label).collect();
        assert_eq!(labels, ["meta", "digicert"]);
        let names = section.trust_anchors.iter().map(|anchor| anchor.path.file_name());
        assert!(names.eq([Some("meta.pem".as_ref()), Some("old.pem".as_ref())]));
    }

    #[test]
    fn a_section_without_anchors_is_refused() {
        assert_eq!(
            faults("[client_certificate]\ntrust_anchors = []"),
            ["2: `client_certificate.trust_anchors`: must have at least one entry"]
        );
        assert_eq!(
            faults("[client_certificate]\nverify_depth = 2"),
            ["1: `client_certificate.trust_anchors`: is missing"]
        );
    }

    #[test]
    fn a_load_balancer_in_verify_mode_may_be_relied_upon_for_the_chain() {
        let text = |rest: &str| {
            format!(
                "[client_certificate]\n{rest}\n[server]\ncertificate = \"chain.pem\"\n\
                 private_key = \"key.pem\"\ntrusted_proxies = [\"10.0.0.0/8\"]"
            )
        };
        let good = load(&text("source = \"alb\"")).client_certificate.expect("is there");
        assert_eq!(good.source, CertificateSource::Alb);
        assert!(good.trust_anchors.is_empty());
        load(&text("source = \"alb\"\ntrust_anchors = [\"meta.pem\"]"));
        load(&text("source = \"alb_passthrough\"\ntrust_anchors = [\"meta.pem\"]"));
        for rest in [
            "source = \"alb_passthrough\"",
            "source = \"tls\"",
            "source = \"alb\"\ncandidate_anchors = [\"old.pem\"]",
            "source = \"alb\"\ncrl_files = [\"ca.pem\"]",
        ] {
            assert_eq!(
                faults(&text(rest)),
                ["1: `client_certificate.trust_anchors`: is missing"],
                "{rest}"
            );
        }
    }

    #[test]
    fn headers_of_a_load_balancer_are_accepted_from_trusted_proxies_alone() {
        assert_eq!(
            faults("[client_certificate]\nsource = \"alb\""),
            [
                "2: `client_certificate.source`: needs `server.trusted_proxies`: what a load balancer \
              says is trusted from there alone"
            ]
        );
    }

    #[test]
    fn anchors_that_cannot_be_told_apart_or_read_are_refused() {
        let text = r#"[client_certificate]
            trust_anchors = [
            "meta.pem",
            { file = "old.pem", label = "meta" },
            { label = "" },
            "absent.pem"]"#;

        assert_eq!(
            faults(text),
            [
                "4: `client_certificate.trust_anchors[1].label`: must differ from \
                 `client_certificate.trust_anchors[0]`, but is the same",
                "5: `client_certificate.trust_anchors[2].file`: is missing",
                "6: `client_certificate.trust_anchors[3]`: names `absent.pem`, which cannot be \
                 read: No such file or directory (os error 2)",
            ]
        );
    }

    #[test]
    fn common_names_are_neither_absent_nor_empty_nor_cut_by_a_nul() {
        let good = load(&section(r#"common_names = ["a", "b"]"#)).client_certificate;
        assert_eq!(good.expect("is there").common_names, ["a", "b"]);

        assert_eq!(
            faults(&section("common_names = []")),
            ["3: `client_certificate.common_names`: must have at least one entry"]
        );
        assert_eq!(
            faults(&section(r#"common_names = ["a", "", "a\u0000b", "a"]"#)),
            [
                "3: `client_certificate.common_names[1]`: must not be empty",
                "3: `client_certificate.common_names[2]`: must not have control characters",
                "3: `client_certificate.common_names[3]`: must differ from \
                 `client_certificate.common_names[0]`, but is the same",
            ]
        );
    }

    #[test]
    fn the_depth_may_be_zero_but_not_negative() {
        let good = load(&section("verify_depth = 0")).client_certificate;
        assert_eq!(good.expect("is there").verify_depth, 0);
        assert_eq!(
            faults(&section("verify_depth = -1")),
            ["3: `client_certificate.verify_depth`: must be from 0 to 12"]
        );
    }

    #[test]
    fn an_anchor_is_either_trusted_or_a_candidate() {
        let good = load(&section("candidate_anchors = [\"old.pem\"]")).client_certificate;
        let good = good.expect("is there");
        let labels = [&good.trust_anchors, &good.candidate_anchors]
            .map(|anchors| anchors.iter().map(|anchor| anchor.label.as_str()).collect::<Vec<_>>());
        assert_eq!(labels, [["meta"], ["old"]]);

        assert_eq!(
            faults(&section("candidate_anchors = [\"meta.pem\"]")),
            ["3: `client_certificate.candidate_anchors[0]`: must differ from \
              `client_certificate.trust_anchors[0]`, but is the same"]
        );
    }

    #[test]
    fn revocation_is_checked_if_there_are_lists_or_places_to_fetch_them_from() {
        let checked = |rest: &str| {
            let section = load(&section(rest)).client_certificate.expect("is there");
            section.crl.is_checked()
        };
        assert!(!checked(""));
        assert!(checked("crl_files = [\"ca.pem\"]"));
        assert!(checked("crl_fetch = \"distribution_points\""));
    }

    #[test]
    fn keys_about_lists_that_cannot_work_are_refused() {
        let text = section(
            "crl_files = [\"absent.crl\", \"ca.pem\", \"ca.pem\"]\ncrl_cache = \"ca.pem\"\n\
             stale_crl = \"ignore\"\ncrl_refresh_min_ms = 5\ncrl_refresh_max_ms = 4\n\
             crl_max_bytes = 0",
        );
        assert_eq!(
            faults(&text),
            [
                "3: `client_certificate.crl_files[2]`: must differ from \
                 `client_certificate.crl_files[1]`, but is the same",
                "3: `client_certificate.crl_files[0]`: names `absent.crl`, which cannot be read: \
                 No such file or directory (os error 2)",
                "4: `client_certificate.crl_cache`: names `ca.pem`, which is not a directory",
                "5: `client_certificate.stale_crl`: must be one of `refuse`, `warn`",
                "6: `client_certificate.crl_refresh_min_ms`: must not be greater than \
                 `client_certificate.crl_refresh_max_ms`, which is 4",
                "8: `client_certificate.crl_max_bytes`: must be greater than zero",
            ]
        );
    }
}
