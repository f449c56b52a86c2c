//! `[client_certificate]`: whom to believe.

use std::path::{Path, PathBuf};

use super::findings::{At, Findings};
use super::{file, names, numbers, paths};

/// `[client_certificate]`, checked.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// PEM files, each with one anchor or more; at least one file.
    pub trust_anchors: Vec<TrustAnchor>,
    /// Subject common names that are let in, compared byte for byte; at least one.
    pub common_names: Vec<String>,
    /// How many certificates may be presented above the leaf.
    pub verify_depth: usize,
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
        written: &file::ClientCertificate,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut anchors: Vec<(TrustAnchor, &At)> = Vec::new();
        for anchor in &written.trust_anchors {
            anchors.extend(TrustAnchor::check(anchor, findings));
        }
        findings.must_differ(anchors.iter().map(|(anchor, at)| (&anchor.label, *at)));
        for name in &written.common_names {
            // A NUL is among the control characters; C libraries would end the name there.
            names::visible(name, findings);
        }
        let given = written.common_names.iter();
        findings.must_differ(given.clone().map(|name| (&name.value, &name.at)));
        let verify_depth = numbers::within(&written.verify_depth, 0..=MAXIMUM_DEPTH, findings);
        Some(Self {
            trust_anchors: anchors.into_iter().map(|(anchor, _)| anchor).collect(),
            common_names: given.map(|name| name.value.clone()).collect(),
            verify_depth: usize::try_from(verify_depth).ok()?,
        })
    }
}

impl TrustAnchor {
    /// With the place of its label, or of what the label was taken from.
    fn check<'a>(
        written: &'a file::TrustAnchor,
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

#[cfg(test)]
mod tests {
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
}
