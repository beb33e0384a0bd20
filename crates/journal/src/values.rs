//! What the values of a shape's executions have told.

use paceline_sql::Values;

/// Figures on the values of one shape's executions. The values themselves are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueCounts {
    /// Executions whose OFFSET is known.
    pub offsets: u64,
    /// The sum of these.
    pub offset_sum: u64,
    /// The largest of these.
    pub offset_max: u64,
    /// How many were below 10, 100, 1,000, 10,000 and 100,000, and how many were not.
    pub offsets_by_size: [u64; 6],
    /// Executions in which the pattern of a LIKE began with a wildcard: of the first LIKE of the text, and of the next three.
    pub leading_wildcards: [u64; 4],
}

impl ValueCounts {
    /// Executions with an offset of at least 1,000.
    pub fn deep_offsets(&self) -> u64 {
        self.offsets_by_size[3..].iter().sum()
    }

    pub(crate) fn count(&mut self, values: Values) {
        if let Some(offset) = values.offset {
            self.offsets += 1;
            self.offset_sum = self.offset_sum.saturating_add(offset);
            self.offset_max = self.offset_max.max(offset);
            let digits = offset.checked_ilog10().unwrap_or(0) as usize;
            self.offsets_by_size[digits.min(5)] += 1;
        }
        for (index, count) in self.leading_wildcards.iter_mut().enumerate() {
            *count += u64::from(values.leading >> index & 1);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.offsets += other.offsets;
        self.offset_sum = self.offset_sum.saturating_add(other.offset_sum);
        self.offset_max = self.offset_max.max(other.offset_max);
        let pairs = self.offsets_by_size.iter_mut().zip(other.offsets_by_size);
        pairs.for_each(|(sum, count)| *sum += count);
        let pairs = self
            .leading_wildcards
            .iter_mut()
            .zip(other.leading_wildcards);
        pairs.for_each(|(sum, count)| *sum += count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_counted_by_size_and_wildcards_by_place() {
        let mut counts = ValueCounts::default();
        for (offset, leading) in [
            (Some(0), 0),
            (Some(9), 1),
            (Some(10), 0),
            (Some(999), 0b1001),
            (Some(1_000), 0),
            (Some(u64::MAX), 0),
            (None, 0b0010),
        ] {
            counts.count(Values { offset, leading });
        }
        assert_eq!(counts.offsets, 6);
        assert_eq!((counts.offset_max, counts.offset_sum), (u64::MAX, u64::MAX));
        assert_eq!(counts.offsets_by_size, [2, 1, 1, 1, 0, 1]);
        assert_eq!(counts.deep_offsets(), 2);
        assert_eq!(counts.leading_wildcards, [2, 1, 0, 1]);
        let mut twice = counts.clone();
        twice.merge(&counts);
        assert_eq!((twice.offsets, twice.deep_offsets()), (12, 4));
        assert_eq!(twice.leading_wildcards, [4, 2, 0, 2]);
    }
}
