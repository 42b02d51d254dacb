//! Sets of byte ranges: what of a file is there, and what is missing.

use std::ops::Range;

/// Sorted ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range; an empty one changes nothing.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.end < range.start);
        let last = self.0.partition_point(|r| r.start <= range.end);
        let touched = self.0.get(first..last).unwrap_or_default();
        let start = touched.first().map_or(range.start, |r| r.start.min(range.start));
        let end = touched.last().map_or(range.end, |r| r.end.max(range.end));
        self.0.splice(first..last.max(first), std::iter::once(start..end));
    }

    /// How many bytes the ranges hold.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    /// The end of the last range.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |r| r.end)
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// What is missing of a file of `length` bytes, in order.
    pub fn missing(&self, length: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for range in &self.0 {
            if range.start >= length {
                break;
            }
            if at < range.start {
                gaps.push(at..range.start);
            }
            at = range.end;
        }
        if at < length {
            gaps.push(at..length);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_are_the_set_of_what_was_inserted(inserted in prop::collection::vec((0u64..200, 0u64..40), 0..40)) {
            let mut ranges = Ranges::default();
            let mut model = [false; 240];
            for (start, length) in inserted {
                ranges.insert(start..start + length);
                model.iter_mut().skip(start as usize).take(length as usize).for_each(|b| *b = true);
            }
            prop_assert_eq!(ranges.bytes(), model.iter().filter(|b| **b).count() as u64);
            let all: Vec<_> = ranges.iter().collect();
            prop_assert!(all.windows(2).all(|w| w[0].end < w[1].start));
            let missing = ranges.missing(240);
            for (at, there) in model.iter().enumerate() {
                let at = at as u64;
                prop_assert_eq!(all.iter().any(|r| r.contains(&at)), *there);
                prop_assert_eq!(missing.iter().any(|r| r.contains(&at)), !*there);
            }
        }
    }

    #[test]
    fn ranges_beyond_the_length_are_not_missing_bytes() {
        let mut ranges = Ranges::default();
        ranges.insert(10..20);
        assert_eq!(format!("{:?}", ranges.missing(15)), "[0..10]");
        assert_eq!(format!("{:?}", ranges.missing(5)), "[0..5]");
        assert_eq!(ranges.missing(0), []);
    }
}
