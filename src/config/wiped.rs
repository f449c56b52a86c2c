//! Bytes with a secret in them, read without leaving a copy behind.
//!
//! A buffer that grows leaves what it outgrew in freed memory, and so does whatever is dropped as it
//! is. Here nothing grows in place, and everything is wiped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// The whole of a file.
pub(crate) fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    // One more, to see the end.
    read_to_end(&mut file, length + 1)
}

/// All that is left; `capacity` is how much that will be, and one more.
pub(super) fn read_to_end(
    source: &mut impl Read,
    capacity: usize,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; capacity.clamp(1, CAPACITY_MAX)]);
    let mut length = 0;
    loop {
        if length == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; 2 * length]);
            larger.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
            bytes = larger;
        }
        match source.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// What a file says of its own length is no reason to take more at once.
const CAPACITY_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_whatever_was_expected() {
        let text: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        for capacity in [0, 1, 7, 2_999, 3_000, 3_001, usize::MAX] {
            let read = read_to_end(&mut text.as_slice(), capacity).expect("is read");
            assert_eq!(*read, text, "{capacity}");
        }
        assert!(read_to_end(&mut [].as_slice(), 0).expect("is read").is_empty());
    }
}
