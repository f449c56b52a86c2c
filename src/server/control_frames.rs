//! How many HTTP/2 frames a caller may send that bring nothing.
//!
//! In: the bytes of a connection as they are read, and how many were written. Out: whether the caller
//! still means well. Keeps the head of one frame and no byte of any. Knows nothing of streams.
//!
//! WINDOW_UPDATE, PRIORITY, PING, SETTINGS, RST_STREAM, unknown types and DATA with next to nothing in
//! it cost the caller little and each of them a look here. hyper bounds CONTINUATION, some resets, DATA
//! that nobody reads, and acknowledgements that wait to be sent, but not the number of any of these. So
//! each takes one from an allowance, which requests, bytes that the caller is sent, and time fill up
//! again.

use std::time::{Duration, Instant};

/// One connection's frames.
#[derive(Debug)]
pub(super) struct ControlFrames {
    /// The frame that is being read (RFC 9113 section 4.1), and the first byte after it, which in a
    /// padded DATA frame is the length of the padding.
    head: [u8; HEAD_BYTES + 1],
    head_read: usize,
    /// Bytes up to the next head.
    skip: usize,
    allowance: u32,
    allowance_max: u32,
    /// When time filled it up last.
    filled: Instant,
    /// Not yet enough for one more.
    sent_bytes: usize,
}

impl ControlFrames {
    /// At the beginning of a connection.
    pub(super) fn new(allowance_max: u32) -> Self {
        Self {
            head: [0; HEAD_BYTES + 1],
            head_read: 0,
            skip: PREFACE_BYTES,
            allowance: allowance_max,
            allowance_max,
            filled: Instant::now(),
            sent_bytes: 0,
        }
    }

    /// The caller was sent so many bytes, for which it may send frames in return.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes;
        if self.sent_bytes >= BYTES_PER_FRAME {
            self.fill(self.sent_bytes / BYTES_PER_FRAME);
            self.sent_bytes %= BYTES_PER_FRAME;
        }
    }

    /// Looks at the frames that begin in `bytes`; whether all of them are within the allowance.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_within = true;
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else { return is_within };
            if let Some(byte) = self.head.get_mut(self.head_read) {
                *byte = *first;
            }
            (self.head_read, bytes) = (self.head_read + 1, rest);
            if self.head_read >= self.head_bytes() {
                is_within &= self.end_of_head();
            }
        }
    }

    /// How much of this frame is to be read before it is known what it brings.
    fn head_bytes(&self) -> usize {
        let [l0, l1, l2, kind, flags, ..] = self.head;
        let is_padded = kind == DATA && flags & PADDED != 0 && [l0, l1, l2] != [0; 3];
        if self.head_read >= HEAD_BYTES && is_padded { HEAD_BYTES + 1 } else { HEAD_BYTES }
    }

    /// Whether the frame whose head was read is within the allowance.
    fn end_of_head(&mut self) -> bool {
        let [l0, l1, l2, kind, flags, .., after] = self.head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let is_padded = self.head_read > HEAD_BYTES;
        let padding = if is_padded { 1 + u32::from(after) } else { 0 };
        self.skip = usize::try_from(length).unwrap_or(usize::MAX) - usize::from(is_padded);
        self.head_read = 0;
        match kind {
            HEADERS => {
                self.fill(FRAMES_PER_REQUEST);
                true
            }
            DATA if flags & END_STREAM != 0 => true,
            DATA if length.saturating_sub(padding) >= SMALL_DATA_BYTES => true,
            _ => self.take(),
        }
    }

    fn take(&mut self) -> bool {
        if self.allowance == 0 {
            // The clock is asked once for many frames.
            let now = Instant::now();
            let since = (now - self.filled).min(FILL_TIME).as_millis();
            let gained = since * u128::from(self.allowance_max) / FILL_TIME.as_millis();
            self.fill(usize::try_from(gained).unwrap_or(usize::MAX));
            if gained > 0 {
                self.filled = now;
            }
        }
        let left = self.allowance.checked_sub(1);
        self.allowance = left.unwrap_or(0);
        left.is_some()
    }

    fn fill(&mut self, frames: usize) {
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.allowance = self.allowance.saturating_add(frames).min(self.allowance_max);
    }
}

/// RFC 9113 section 3.4.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

// RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;

/// A frame has a head of nine bytes: what brings less than that is mostly head. The last one of a body
/// may.
const SMALL_DATA_BYTES: u32 = 9;

/// What browsers send with a request: its priority, once or twice, windows, and a reset when the page
/// is left.
const FRAMES_PER_REQUEST: usize = 8;

/// Callers that count windows closely send two frames for each of ours; the smallest that matter are
/// some 4 KiB.
const BYTES_PER_FRAME: usize = 512;

/// For the whole allowance: by the default 33 frames a second, which is more than any caller needs that
/// does nothing.
const FILL_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head[..], payload].concat()
    }

    fn begun(allowance: u32) -> ControlFrames {
        let mut frames = ControlFrames::new(allowance);
        assert!(frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        frames
    }

    /// How many of these pass in a row, of a thousand.
    fn passing(frames: &mut ControlFrames, frame: &[u8]) -> usize {
        (0..1000).take_while(|_| frames.read(frame)).count()
    }

    #[test]
    fn frames_that_bring_nothing_use_the_allowance_up() {
        let padded = [&[200][..], &[0; 200]].concat();
        for (kind, flags, payload) in [
            (8, 0, &[0, 0, 0, 1][..]),
            (2, 0, &[0; 5]),
            (6, 0, &[0; 8]),
            (4, 0, &[]),
            (3, 0, &[0; 4]),
            (0xfa, 0, &[0; 300]),
            (9, 0, &[0; 10]),
            (DATA, 0, &[]),
            (DATA, 0, b"x"),
            (DATA, PADDED, &[]),
            (DATA, PADDED, &padded),
        ] {
            assert_eq!(
                passing(&mut begun(100), &frame(kind, flags, payload)),
                100,
                "{kind} {flags}"
            );
        }
    }

    #[test]
    fn requests_and_bodies_do_not() {
        for (kind, flags, payload) in [
            (HEADERS, 0, &[0; 40][..]),
            (DATA, 0, &[0; 9]),
            (DATA, END_STREAM, &[]),
            (DATA, END_STREAM | PADDED, &[0; 10]),
            (DATA, PADDED, &[&[1][..], &[0; 10]].concat()),
        ] {
            let mut frames = begun(100);
            assert_eq!(passing(&mut frames, &frame(kind, flags, payload)), 1000, "{kind} {flags}");
            assert_eq!(passing(&mut frames, &frame(6, 0, &[0; 8])), 100);
        }
    }

    #[test]
    fn the_bytes_may_come_in_any_pieces() {
        let all = [frame(DATA, PADDED, &[3, 1, 2, 3, 4]), frame(8, 0, &[0; 4]), frame(4, 0, &[])];
        for size in 1..40 {
            let mut frames = begun(100);
            let bytes = all.concat().repeat(40);
            let read = bytes.chunks(size).take_while(|piece| frames.read(piece)).count() * size;
            // 33 times all three, one more, and the head of that which is one too many.
            let last = all.concat().len() * 33 + 14 + 9;
            assert!(read < last && last <= read + size, "{read} in pieces of {size}");
        }
    }

    #[test]
    fn requests_and_what_is_sent_fill_it_up_to_its_ceiling() {
        let ping = frame(6, 0, &[0; 8]);
        let mut frames = begun(100);
        assert_eq!(passing(&mut frames, &ping), 100);
        assert!(frames.read(&frame(HEADERS, 0, &[0; 40])));
        assert_eq!(passing(&mut frames, &ping), FRAMES_PER_REQUEST);
        frames.sent(BYTES_PER_FRAME * 3 - 1);
        assert_eq!(passing(&mut frames, &ping), 2);
        frames.sent(1);
        assert_eq!(passing(&mut frames, &ping), 1);
        frames.sent(1 << 30);
        assert_eq!(passing(&mut frames, &ping), 100);
    }
}
