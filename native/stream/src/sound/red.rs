//! Redundant packets (RFC 2198): each carries the ones before it again, so that one that is lost is there all the same, without waiting
//! for it to be sent anew.

use bytes::{BufMut, Bytes, BytesMut};

/// The longest time back that a head can say, in RTP ticks.
const MOST_OFFSET: u32 = (1 << 14) - 1;

/// The longest older packet that a head can say, in bytes.
const MOST_LENGTH: usize = (1 << 10) - 1;

/// Older packets of one that are looked at; senders put in one or two.
const MOST_BLOCKS: usize = 8;

/// A packet inside of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its payload type.
    pub payload_type: u8,
    /// RTP ticks before the newest.
    pub offset: u32,
    /// Its bytes.
    pub data: Bytes,
}

/// Puts packets of one payload type together: `before` has older ones with their ticks before the newest, the oldest first. Those that
/// do not fit are left out.
pub fn pack(payload_type: u8, before: &[(u32, Bytes)], newest: &Bytes) -> Bytes {
    let fits = |(offset, data): &&(u32, Bytes)| *offset <= MOST_OFFSET && data.len() <= MOST_LENGTH;
    let fitting = || before.iter().filter(fits);
    let bytes: usize = fitting().map(|(_, data)| 4 + data.len()).sum();
    let mut packed = BytesMut::with_capacity(bytes + 1 + newest.len());
    for (offset, data) in fitting() {
        packed.put_u8(0x80 | payload_type & 0x7f);
        // 14 bits and 10, both checked above.
        packed.put_uint((u64::from(*offset) << 10) | data.len() as u64, 3);
    }
    packed.put_u8(payload_type & 0x7f);
    for (_, data) in fitting() {
        packed.put_slice(data);
    }
    packed.put_slice(newest);
    packed.freeze()
}

/// What is in one, the oldest first and the newest last; nothing for one whose heads lie.
pub fn unpack(packed: &Bytes) -> Vec<Block> {
    parse(packed).unwrap_or_default()
}

fn parse(packed: &Bytes) -> Option<Vec<Block>> {
    let mut heads = Vec::new();
    let mut at = 0;
    let newest = loop {
        let first = *packed.get(at)?;
        if first & 0x80 == 0 {
            at += 1;
            break first;
        }
        if heads.len() == MOST_BLOCKS {
            return None;
        }
        let rest = packed.get(at + 1..at + 4)?;
        let word = rest.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        heads.push((first & 0x7f, word >> 10, (word & MOST_LENGTH as u32) as usize));
        at += 4;
    };
    let mut blocks = Vec::with_capacity(heads.len() + 1);
    for (payload_type, offset, length) in heads {
        if packed.len() - at < length {
            return None;
        }
        blocks.push(Block { payload_type, offset, data: packed.slice(at..at + length) });
        at += length;
    }
    blocks.push(Block { payload_type: newest, offset: 0, data: packed.slice(at..) });
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_heads_of_the_standard() {
        let packed = pack(111, &[(960, Bytes::from_static(b"old"))], &Bytes::from_static(b"new"));
        // F, 7 bits of type; 14 bits of offset, 10 of length; then the last head of one byte (RFC 2198, section 3).
        assert_eq!(packed[..5], [0x80 | 111, 0x0f, 0x00, 0x03, 111]);
        assert_eq!(&packed[5..], b"oldnew");
        let empty = unpack(&Bytes::from_static(&[111]));
        assert_eq!(empty, [Block { payload_type: 111, offset: 0, data: Bytes::new() }]);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let (long, old) = (Bytes::from(vec![1; 1024]), Bytes::from_static(b"x"));
        let packed = pack(111, &[(MOST_OFFSET + 1, old.clone()), (480, long), (480, old.clone())], &old);
        assert_eq!(unpack(&packed).len(), 2);
    }

    #[test]
    fn heads_that_lie_give_nothing() {
        for bad in [&[][..], &[0x80], &[0xef, 0, 0, 9], &[0xef, 0, 0, 9, 111, 1, 2], &[0xff; 60]] {
            assert_eq!(unpack(&Bytes::from_static(bad)), [], "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(before in prop::collection::vec((0..=MOST_OFFSET, prop::collection::vec(any::<u8>(), 0..300)), 0..4), newest in prop::collection::vec(any::<u8>(), 0..300)) {
            let before: Vec<(u32, Bytes)> = before.into_iter().map(|(offset, data)| (offset, data.into())).collect();
            let newest = Bytes::from(newest);
            let blocks = unpack(&pack(63, &before, &newest));
            let whole: Vec<(u32, Bytes)> = blocks.iter().map(|block| (block.offset, block.data.clone())).collect();
            let mut wanted = before;
            wanted.push((0, newest));
            prop_assert_eq!(whole, wanted);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let bytes = Bytes::from(bytes);
            let held: usize = unpack(&bytes).iter().map(|block| block.data.len()).sum();
            prop_assert!(held <= bytes.len());
        }
    }
}
