//! Reads a distinguished name out of a text, and the only common name out of that.
//!
//! RFC 2253 as load balancers write it: `CN=client.example,O=Example\, Inc.`. A real parser, since
//! whoever searches the text finds `CN=..` in an organization's name, too. Strict: what could be read
//! in two ways is malformed. The rule for certificates themselves is in [`super::subject`].

/// Not a distinguished name that can be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One attribute, with its escapes undone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TextAttribute {
    is_common_name: bool,
    value: Vec<u8>,
}

/// The bytes of the only common name; `None` if there is none, or more than one.
pub(super) fn only_common_name(text: &str) -> Result<Option<Vec<u8>>, Malformed> {
    let mut common_names = parse(text)?.into_iter().filter(|attribute| attribute.is_common_name);
    let only = common_names.next();
    Ok(only.filter(|_| common_names.next().is_none()).map(|attribute| attribute.value))
}

/// Every attribute; those of one relative name (`+`) and of the next (`,`) alike.
fn parse(text: &str) -> Result<Vec<TextAttribute>, Malformed> {
    if text.contains(char::is_control) {
        return Err(Malformed);
    }
    let mut attributes = Vec::new();
    let mut rest = text.as_bytes();
    if rest.is_empty() {
        return Ok(attributes);
    }
    loop {
        let (attribute, after) = attribute(rest)?;
        attributes.push(attribute);
        match after.split_first() {
            None => return Ok(attributes),
            Some((b',' | b'+', after)) => rest = after,
            Some(_) => return Err(Malformed),
        }
    }
}

/// `type=value`, and what stands behind it.
fn attribute(text: &[u8]) -> Result<(TextAttribute, &[u8]), Malformed> {
    let equals = text.iter().position(|byte| *byte == b'=').ok_or(Malformed)?;
    let (kind, value) = text.split_at_checked(equals).ok_or(Malformed)?;
    let (_, value) = value.split_first().ok_or(Malformed)?;
    let (value, after) = match value.first() {
        Some(b'"') => quoted(value)?,
        Some(b'#') => encoded(value)?,
        _ => plain(value)?,
    };
    Ok((TextAttribute { is_common_name: is_common_name(kind)?, value }, after))
}

/// A keyword, or an object identifier as RFC 1779 and RFC 2253 write it.
fn is_common_name(kind: &[u8]) -> Result<bool, Malformed> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if kind.is_empty() || !kind.iter().all(is_part) {
        return Err(Malformed);
    }
    let names: [&[u8]; 4] = [b"CN", b"commonName", b"2.5.4.3", b"OID.2.5.4.3"];
    Ok(names.iter().any(|name| kind.eq_ignore_ascii_case(name)))
}

/// Up to a separator that is not escaped.
fn plain(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let mut value = Vec::new();
    let mut rest = text;
    // Whether the last byte stood there as it is; a blank that did may not end the value.
    let mut ends_in_blank = rest.first() == Some(&b' ');
    if ends_in_blank {
        return Err(Malformed);
    }
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b',' | b'+' => break,
            b'\\' => {
                let (byte, after) = escaped(after)?;
                value.push(byte);
                (rest, ends_in_blank) = (after, false);
            }
            // A separator to RFC 1779, or a quotation in the middle.
            b';' | b'<' | b'>' | b'"' => return Err(Malformed),
            _ => {
                value.push(*byte);
                (rest, ends_in_blank) = (after, *byte == b' ');
            }
        }
    }
    if ends_in_blank { Err(Malformed) } else { Ok((value, rest)) }
}

/// From a quotation mark to the next one that is not escaped.
fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let mut value = Vec::new();
    let (_, mut rest) = text.split_first().ok_or(Malformed)?;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'"' => return Ok((value, after)),
            b'\\' => {
                let (byte, after) = escaped(after)?;
                value.push(byte);
                rest = after;
            }
            _ => {
                value.push(*byte);
                rest = after;
            }
        }
    }
    Err(Malformed)
}

/// The BER of a value in hexadecimal: of a string type that has no text, so a name that fits nobody.
fn encoded(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let (_, digits) = text.split_first().ok_or(Malformed)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(digits.len());
    let (digits, after) = digits.split_at_checked(end).ok_or(Malformed)?;
    if digits.is_empty() || digits.len() % 2 != 0 {
        Err(Malformed)
    } else {
        Ok((Vec::new(), after))
    }
}

/// What stands behind a backslash: one of the special characters, or a byte in hexadecimal.
fn escaped(text: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let (first, after) = text.split_first().ok_or(Malformed)?;
    if b",=+<>#;\"\\ ".contains(first) {
        return Ok((*first, after));
    }
    let (digits, after) = text.split_first_chunk::<2>().ok_or(Malformed)?;
    let mut byte = [0];
    base16ct::mixed::decode(digits, &mut byte).map_err(|_no_digits| Malformed)?;
    let [byte] = byte;
    Ok((byte, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const META: &str = "client.webhooks.fbclientcerts.com";

    fn name(text: &str) -> Option<String> {
        let name = only_common_name(text).expect("is a distinguished name");
        name.map(|name| String::from_utf8(name).expect("is text"))
    }

    #[test]
    fn the_only_common_name_is_found_wherever_it_stands() {
        for text in [
            format!("CN={META}"),
            format!("CN={META},O=Meta Platforms\\, Inc.,L=Menlo Park,ST=California,C=US"),
            format!("C=US,O=\"Meta Platforms, Inc.\",CN={META}"),
            format!("OU=a+CN={META},C=US"),
            format!("cn={META}"),
            format!("2.5.4.3={META}"),
            format!("OID.2.5.4.3=\"{META}\",1.2.3=#0403abcdef"),
            format!("O=a=b\\=c,CN={META}"),
            "CN=client\\2ewebhooks.fbclientcerts\\2Ecom".to_owned(),
        ] {
            assert_eq!(name(&text).as_deref(), Some(META), "{text}");
        }
    }

    #[test]
    fn a_name_within_another_value_is_no_common_name() {
        for (text, expected) in [
            (
                "CN=evil\\,CN=client.webhooks.fbclientcerts.com",
                Some("evil,CN=client.webhooks.fbclientcerts.com"),
            ),
            ("O=\"x,CN=client.webhooks.fbclientcerts.com\"", None),
            ("O=x\\,CN=client.webhooks.fbclientcerts.com", None),
            ("O=x\\2CCN=client.webhooks.fbclientcerts.com", None),
            ("O=x\\+CN=client.webhooks.fbclientcerts.com", None),
            ("O=\"x\\\",CN=client.webhooks.fbclientcerts.com\"", None),
            ("O=CN=client.webhooks.fbclientcerts.com", None),
            ("XCN=client.webhooks.fbclientcerts.com", None),
            ("CN=client.webhooks.fbclientcerts.com\\ ", Some("client.webhooks.fbclientcerts.com ")),
            (
                "CN=client.webhooks.fbclientcerts.com\\00",
                Some("client.webhooks.fbclientcerts.com\0"),
            ),
            ("CN=#0c0161", Some("")),
            ("CN=a,CN=a", None),
            ("CN=a+CN=b", None),
            ("CN=a,2.5.4.3=b", None),
            ("", None),
        ] {
            assert_eq!(name(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_malformed() {
        for text in [
            "CN",
            "=a",
            "CN=a,",
            ",CN=a",
            "CN=a,,O=b",
            "CN=a;CN=b",
            "CN=a, O=b",
            "CN= a",
            "CN=a ",
            "CN=\"a",
            "CN=\"a\"b",
            "CN=a\"b\"",
            "CN=a\\",
            "CN=a\\x",
            "CN=a\\2",
            "CN=#",
            "CN=#0",
            "CN=#0g",
            "CN=#00x",
            "C N=a",
            "CN=a\0",
            "CN=a\nO=b",
            "CN=a<b",
            "/C=US/CN=a,O=b;",
        ] {
            assert_eq!(only_common_name(text), Err(Malformed), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,40}|[CN=,+\"\\\\#; a-f0-9]{0,40}|\\PC{0,20}") {
            let _any = only_common_name(&text);
        }

        /// What is written by the rules is read as it was meant, whatever the values hold.
        #[test]
        fn values_come_back_as_they_were(
            values in prop::collection::vec(("CN|O|OU|1\\.2\\.3", "[ -~]{0,20}", 0_u8..3), 1..6),
        ) {
            let written: Vec<String> = values
                .iter()
                .map(|(kind, value, form)| format!("{kind}={}", escape(value, *form)))
                .collect();
            let mut names = values.iter().filter(|(kind, ..)| kind == "CN");
            let only = names.next().filter(|_| names.next().is_none());
            let expected = only.map(|(_, value, _)| value.clone());
            for separator in [",", "+"] {
                prop_assert_eq!(name(&written.join(separator)), expected.clone());
            }
        }
    }

    /// In one of three forms: special characters escaped, all bytes in hexadecimal, or quoted.
    fn escape(value: &str, form: u8) -> String {
        let special = |c: char| ",=+<>#;\"\\ ".contains(c);
        match form {
            0 => value
                .chars()
                .map(|c| if special(c) { format!("\\{c}") } else { c.into() })
                .collect(),
            1 => value.bytes().map(|byte| format!("\\{byte:02x}")).collect(),
            _ => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }
}
