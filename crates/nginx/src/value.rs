//! Sizes, times and variables as nginx writes them.

/// `10m` as bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (digits, factor) = match text.char_indices().next_back()? {
        (end, 'k' | 'K') => (text.get(..end)?, 1 << 10),
        (end, 'm' | 'M') => (text.get(..end)?, 1 << 20),
        (end, 'g' | 'G') => (text.get(..end)?, 1 << 30),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(factor)
}

/// `1m30s` as milliseconds; seconds where there is no unit.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, unit) = rest.split_at(end);
        let (factor, unit_length) = match unit.as_bytes() {
            [b'm', b's', ..] => (1, 2),
            [] => (1_000, 0),
            [b's', ..] => (1_000, 1),
            [b'm', ..] => (60_000, 1),
            [b'h', ..] => (3_600_000, 1),
            [b'd', ..] => (86_400_000, 1),
            _ => return None,
        };
        total = total.checked_add(number(digits)?.checked_mul(factor)?)?;
        rest = unit.get(unit_length..)?.trim_start();
    }
    Some(total)
}

/// Digits and nothing else.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// The names of the variables in a text: `$name` and `${name}`.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let end = rest.find(|character| !is_of_name(character)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    })
}

/// The name of the variable, if the text is nothing else.
pub(super) fn variable(text: &str) -> Option<&str> {
    let name = variables(text).next()?;
    (text == format!("${name}") || text == format!("${{{name}}}")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(bytes("8192"), Some(8192));
        assert_eq!(bytes("10m"), Some(10 << 20));
        assert_eq!(bytes("1G"), Some(1 << 30));
        assert_eq!((bytes(""), bytes("m"), bytes("-1"), bytes("1x")), (None, None, None, None));
        assert_eq!(milliseconds("60"), Some(60_000));
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("1m30s"), Some(90_000));
        assert_eq!(milliseconds("1h 5"), Some(3_605_000));
        assert_eq!((milliseconds(""), milliseconds("x"), milliseconds("s")), (None, None, None));
    }

    #[test]
    fn variables_are_found_in_texts() {
        assert_eq!(variables("a$b_1:${c}d$").collect::<Vec<_>>(), ["b_1", "c", ""]);
        assert_eq!((variable("$a"), variable("${a}")), (Some("a"), Some("a")));
        assert_eq!((variable("$a:"), variable("a"), variable("")), (None, None, None));
    }
}
