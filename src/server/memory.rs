//! Memory that many share, charged for what is held rather than for what was sent.
//!
//! A [`Budget`] is one metric's level and the most that it may be; a [`Held`] is somebody's part of it,
//! given back when dropped. [`Gather`] makes what is held about as large as what came: a piece of a
//! few bytes would keep the whole buffer that it was read into.

use bytes::{Bytes, BytesMut};

use crate::telemetry::metrics::Gauge;

/// What may be held, in all.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    level: Gauge,
    limit: u64,
    /// A part of it that some may not exceed: its own level and limit.
    part: Option<(Gauge, u64)>,
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    bytes: u64,
}

/// There is no more in the budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exhausted;

impl Budget {
    /// The level is the same for everybody, whatever the generation; the limit is a generation's.
    pub(crate) fn new(level: &Gauge, limit: usize) -> Self {
        Self { level: level.clone(), limit: u64::try_from(limit).unwrap_or(u64::MAX), part: None }
    }

    /// For those who together may take half of it, and no more.
    pub(crate) fn half(self, level: &Gauge) -> Self {
        let part = Some((level.clone(), self.limit / 2));
        Self { part, ..self }
    }

    pub(crate) fn hold_nothing(self) -> Held {
        Held { budget: self, bytes: 0 }
    }
}

impl Held {
    /// What is held of a body that was never received.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn nothing() -> Self {
        Budget::new(&Gauge::default(), 0).hold_nothing()
    }

    /// Holds `bytes` in place of what it held. What is too much is held until this is dropped.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = std::mem::replace(&mut self.bytes, bytes);
        let Budget { level, limit, part } = &self.budget;
        let levels = [Some((level, *limit)), part.as_ref().map(|(level, limit)| (level, *limit))];
        let mut is_exhausted = false;
        for (level, limit) in levels.into_iter().flatten() {
            if let Some(more) = bytes.checked_sub(before) {
                is_exhausted |= more > 0 && level.inc_by(more).saturating_add(more) > limit;
            } else {
                level.dec_by(before - bytes);
            }
        }
        if is_exhausted { Err(Exhausted) } else { Ok(()) }
    }

    /// Gives so many bytes of it to another.
    pub(crate) fn split_to(&mut self, bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Budget { level, part, .. } = &self.budget;
        level.dec_by(self.bytes);
        if let Some((level, _)) = part {
            level.dec_by(self.bytes);
        }
    }
}

/// Takes the pieces of a body as they come, and hands them on: large ones as they are, small ones
/// copied together.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// What is being filled; its capacity is held, however little is in it.
    block: BytesMut,
    /// Of the next block, where it is not known how much is still to come.
    next_block: usize,
    handed_on: usize,
}

impl Gather {
    /// `left`: how much is still to come, this piece among it, if that is known.
    pub(crate) fn take(&mut self, piece: &Bytes, left: Option<u64>, keep: &mut impl FnMut(Bytes)) {
        if piece.len() >= LARGE_BYTES {
            self.flush(keep);
            self.handed_on += piece.len();
            keep(piece.clone());
            return;
        }
        let mut rest = &**piece;
        while !rest.is_empty() {
            if self.block.capacity() == 0 {
                self.block = BytesMut::with_capacity(self.next_capacity(rest.len(), left));
            }
            let free = self.block.capacity() - self.block.len();
            let (now, later) = rest.split_at(rest.len().min(free));
            self.block.extend_from_slice(now);
            rest = later;
            if self.block.len() == self.block.capacity() {
                self.flush(keep);
            }
        }
    }

    fn next_capacity(&mut self, at_least: usize, left: Option<u64>) -> usize {
        let left = left.and_then(|left| usize::try_from(left).ok());
        let capacity = left.unwrap_or(self.next_block.max(SMALLEST_BLOCK_BYTES));
        self.next_block = capacity.saturating_mul(2);
        capacity.clamp(at_least, LARGEST_BLOCK_BYTES)
    }

    /// Hands on what is gathered; the body has ended, or a large piece follows.
    pub(crate) fn flush(&mut self, keep: &mut impl FnMut(Bytes)) {
        if self.block.is_empty() {
            return;
        }
        self.handed_on += self.block.len();
        if self.block.len() == self.block.capacity() {
            keep(std::mem::take(&mut self.block).freeze());
        } else {
            keep(Bytes::copy_from_slice(&self.block));
            self.block.clear();
        }
    }

    /// The body has ended: hands on the rest, and holds nothing else.
    pub(crate) fn finish(&mut self, keep: &mut impl FnMut(Bytes)) {
        self.flush(keep);
        self.block = BytesMut::new();
    }

    /// What the pieces so far take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.handed_on + self.block.capacity()
    }
}

/// Below this a piece is copied. Above, what is read at once is mostly body, and a copy costs more
/// than what else the buffer has in it.
const LARGE_BYTES: usize = 4096;

const SMALLEST_BLOCK_BYTES: usize = 1024;
const LARGEST_BLOCK_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(pieces: &[usize], left: Option<u64>) -> (Vec<Bytes>, usize) {
        let mut gather = Gather::default();
        let (mut kept, mut highest) = (Vec::new(), 0);
        let mut bytes = (0..=250).cycle();
        let mut left = left;
        for length in pieces {
            let piece: Bytes = bytes.by_ref().take(*length).collect();
            gather.take(&piece, left, &mut |piece| kept.push(piece));
            left = left.map(|left| left - *length as u64);
            highest = highest.max(gather.memory_bytes());
        }
        gather.finish(&mut |piece| kept.push(piece));
        let whole = kept.concat();
        assert_eq!(whole.len(), pieces.iter().sum::<usize>());
        assert!((0..=250).cycle().zip(&whole).all(|(expected, byte)| expected == *byte));
        assert_eq!(gather.memory_bytes(), whole.len());
        (kept, highest)
    }

    #[test]
    fn small_pieces_become_blocks_and_large_ones_stay_as_they_are() {
        let lengths = |pieces: &[usize], left| -> Vec<usize> {
            gathered(pieces, left).0.iter().map(Bytes::len).collect()
        };
        assert_eq!(lengths(&[100], Some(100)), [100]);
        assert_eq!(lengths(&[40, 60], Some(100)), [100]);
        assert_eq!(lengths(&[1; 3000], None), [1024, 1976]);
        assert_eq!(lengths(&[1; 20_000], Some(20_000)), [16_384, 3616]);
        assert_eq!(lengths(&[1, 4096, 1, 5000], None), [1, 4096, 1, 5000]);
        assert_eq!(lengths(&[4095, 4095], None), [4095, 4095]);
        assert_eq!(lengths(&[], None), [0; 0]);
    }

    #[test]
    fn what_is_held_on_the_way_is_little_more_than_what_came() {
        for pieces in [vec![1; 100_000], vec![4095; 50], [1, 4096].repeat(50)] {
            let (_, highest) = gathered(&pieces, None);
            let came: usize = pieces.iter().sum();
            assert!(highest <= came + LARGEST_BLOCK_BYTES, "{highest} for {came}");
        }
    }

    #[test]
    fn those_who_may_take_half_leave_the_other_half_to_others() {
        let (all, strangers) = (Gauge::default(), Gauge::default());
        let budget = || Budget::new(&all, 100);
        let mut stranger = budget().half(&strangers).hold_nothing();
        assert!(stranger.resize(50).is_ok());
        let mut other = budget().half(&strangers).hold_nothing();
        assert!(other.resize(1).is_err());
        drop(other);
        let mut proven = budget().hold_nothing();
        assert!(proven.resize(50).is_ok());
        assert!(proven.resize(51).is_err());
        assert!(proven.resize(50).is_ok(), "less is never too much");
        drop((stranger.split_to(20), proven));
        assert_eq!((all.get(), strangers.get()), (30, 30));
        drop(stranger);
        assert_eq!((all.get(), strangers.get()), (0, 0));
    }
}
