//! The few bytes of HTTP/1.1 that the bench programs look at.
//!
//! In: a message as it came. Out: where its head ends, and single header values. Both ends of every
//! conversation are programs of this directory, so nothing here is meant for strangers.

/// Length of the head with its empty line, or `None` while that has not arrived.
pub(crate) fn head_length(message: &[u8]) -> Option<usize> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The value of the first header called `name`, whatever its case.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// What `Content-Length` says; zero without one.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    let Some(value) = header(head, "content-length") else {
        return Some(0);
    };
    std::str::from_utf8(value).ok()?.parse().ok()
}
