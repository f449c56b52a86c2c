//! Private keys in PEM files (RFC 7468), read without leaving a copy behind.
//!
//! In: the text of a file. Out: its first private key, and the text around all of them. The library
//! that reads the rest keeps lines and sections in buffers that it does not wipe, so it must not see
//! a key.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

/// The first private key that is not encrypted. The TLS library, which takes it, wipes it.
pub(super) fn first_private_key(text: &[u8]) -> io::Result<Option<PrivateKeyDer<'static>>> {
    for PemSection { label, body } in split(text)?.sections {
        let key = match label {
            b"PRIVATE KEY" => PrivatePkcs8KeyDer::from(decode(body)?).into(),
            b"RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(decode(body)?).into(),
            b"EC PRIVATE KEY" => PrivateSec1KeyDer::from(decode(body)?).into(),
            _ => continue,
        };
        return Ok(Some(key));
    }
    Ok(None)
}

/// The text before, between and behind the private keys.
pub(super) fn without_private_keys(text: &[u8]) -> io::Result<Vec<&[u8]>> {
    Ok(split(text)?.around)
}

/// A text in parts.
struct Split<'a> {
    around: Vec<&'a [u8]>,
    /// The private keys, encrypted ones too.
    sections: Vec<PemSection<'a>>,
}

struct PemSection<'a> {
    label: &'a [u8],
    /// Between the lines that begin and end it.
    body: &'a [u8],
}

fn split(text: &[u8]) -> io::Result<Split<'_>> {
    let mut split = Split { around: Vec::new(), sections: Vec::new() };
    // Label and beginning of the section that is being read, and where the text around begins.
    let (mut open, mut around_from, mut at) = (None, 0, 0);
    for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let next = at + line.len();
        if let Some((label, from)) = open {
            if boundary(line, b"-----END ") == Some(label) {
                split.sections.extend(text.get(from..at).map(|body| PemSection { label, body }));
                (open, around_from) = (None, next);
            }
        } else if let Some(label) = boundary(line, b"-----BEGIN ")
            && label.ends_with(b"PRIVATE KEY")
        {
            split.around.extend(text.get(around_from..at));
            open = Some((label, next));
        }
        at = next;
    }
    if open.is_some() {
        return Err(invalid("a private key does not end"));
    }
    split.around.extend(text.get(around_from..));
    Ok(split)
}

/// The label of a line that begins or ends a section.
fn boundary<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(mark)?.trim_ascii_end().strip_suffix(b"-----")
}

fn decode(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut digits = Zeroizing::new(Vec::with_capacity(body.len()));
    digits.extend(body.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; digits.len()]);
    // The library's error would repeat a part of the key.
    let length = STANDARD.decode_slice(&*digits, &mut der);
    let length = length.map_err(|_repeats| invalid("a private key is not base64"))?;
    Ok(der.get(..length).unwrap_or_default().to_vec())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use hubgate_testkit::pki::{Authority, Ca, Key, Leaf};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_found_among_certificates_and_the_certificates_around_it() {
        let ca = Authority::root(Ca::meta());
        for kind in [Key::EcdsaP256, Key::Rsa2048] {
            let identity = ca.issue(Leaf::meta().key(kind));
            let (key, chain) = (identity.key_pem(), identity.chain_pem());
            for text in [
                key.clone(),
                format!("{chain}{key}"),
                format!("some words\n{key}{chain}{key}").replace('\n', "\r\n"),
                format!("{key}\n\n{chain}").replace("-----\n", "-----  \n"),
            ] {
                let found = first_private_key(text.as_bytes()).expect("is PEM");
                assert_eq!(found.as_ref(), Some(&identity.key), "{text}");
                let around = without_private_keys(text.as_bytes()).expect("is PEM").concat();
                let around = String::from_utf8(around).expect("is text");
                assert!(!around.contains("PRIVATE"), "{around}");
                assert_eq!(around.contains("CERTIFICATE"), text.contains("CERTIFICATE"));
            }
        }
    }

    #[test]
    fn each_form_of_a_key_is_taken_and_an_encrypted_one_is_none() {
        let read = |label: &str| {
            let text = format!("-----BEGIN {label}-----\nAAECAw\n==\n-----END {label}-----");
            first_private_key(text.as_bytes()).expect("is PEM")
        };
        assert!(matches!(read("PRIVATE KEY"), Some(PrivateKeyDer::Pkcs8(_))));
        assert!(matches!(read("RSA PRIVATE KEY"), Some(PrivateKeyDer::Pkcs1(_))));
        let sec1 = read("EC PRIVATE KEY").expect("is a key");
        assert_eq!(sec1.secret_der(), [0, 1, 2, 3]);
        for other in ["ENCRYPTED PRIVATE KEY", "CERTIFICATE", "PRIVATE KEY-----x"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_that_is_broken_is_a_fault_that_repeats_nothing_of_it() {
        for (text, fault) in [
            ("-----BEGIN PRIVATE KEY-----\nAAEC\n", "a private key does not end"),
            ("-----BEGIN PRIVATE KEY-----\nA!EC\n-----END PRIVATE KEY-----", "is not base64"),
            ("-----BEGIN PRIVATE KEY-----\nAAE\n-----END PRIVATE KEY-----", "is not base64"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END RSA PRIVATE KEY-----",
                "is not base64",
            ),
        ] {
            let error = first_private_key(text.as_bytes()).expect_err("is broken").to_string();
            assert!(error.contains(fault) && !error.contains("AE"), "{text}: {error}");
        }
    }

    proptest! {
        // The smallest input that fails stands in the panic, not in a file beside the source.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn whatever_a_file_holds_is_taken_apart_and_no_line_of_it_twice(
            parts in prop::collection::vec(
                "-----(BEGIN|END) (RSA |)PRIVATE KEY-----|-----BEGIN CERTIFICATE-----|[A-Z=]{0,9}|\r|\n",
                0..20,
            ),
        ) {
            let text = parts.concat().into_bytes();
            if let Ok(Split { around, sections }) = split(&text) {
                let bodies = sections.iter().map(|section| section.body.len());
                let kept: usize = around.iter().map(|part| part.len()).chain(bodies).sum();
                prop_assert!(kept <= text.len());
                let begins = |part: &&&[u8]| part.starts_with(b"-----BEGIN PRIVATE KEY-----\n");
                prop_assert_eq!(around.iter().filter(begins).count(), 0);
            }
            let _whatever = first_private_key(&text);
        }
    }
}
