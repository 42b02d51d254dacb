//! How much a text of JSON becomes in memory, reckoned before it does: a value takes up to some 600 bytes (an object of one entry), of as
//! few as 8 in the text.

/// Words, numbers, lists, objects and their names, as far as their separators tell, and how deep they lie in one another. What is no JSON gets
/// numbers too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub values: usize,
    pub depth: usize,
}

/// The most of an answer. QEMU's largest is that to `query-qmp-schema`: of QEMU 10.0, 206,000 bytes with 29,000 values (`the_longest_answers_are_taken`
/// of sampan-session measures it).
pub const ANSWER: Shape = Shape { values: 1 << 16, depth: 32 };

/// The most of an event, many of which wait for whoever is slow to take them. They have about a dozen.
pub const EVENT: Shape = Shape { values: 512, depth: 32 };

impl Shape {
    pub fn of(text: &[u8]) -> Self {
        let (mut shape, mut depth) = (Self { values: 1, depth: 0 }, 0_usize);
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => skip_string(&mut bytes),
                b'[' | b'{' => {
                    depth += 1;
                    shape.depth = shape.depth.max(depth);
                    shape.values += 1;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' | b':' => shape.values += 1,
                _ => {}
            }
        }
        shape
    }

    pub fn fits(self, most: Self) -> bool {
        self.values <= most.values && self.depth <= most.depth
    }
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn nodes(value: &Value) -> (usize, usize) {
        let below = |children: &mut dyn Iterator<Item = &Value>, names: usize| {
            children.map(nodes).fold((1 + names, 1), |(sum, depth), (n, d)| (sum + n, depth.max(d + 1)))
        };
        match value {
            Value::Array(list) => below(&mut list.iter(), 0),
            Value::Object(map) => below(&mut map.values(), map.len()),
            _ => (1, 0),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".*".prop_map(Value::from)];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..8)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        /// Never fewer than there are, nor many more.
        #[test]
        fn the_reckoning_is_right(value in json()) {
            let shape = Shape::of(value.to_string().as_bytes());
            let (values, depth) = nodes(&value);
            prop_assert_eq!(shape.depth, depth);
            prop_assert!(shape.values >= values && shape.values <= 2 * values, "{:?} {}", shape, values);
        }
    }

    #[test]
    fn what_stands_in_words_is_not_counted() {
        assert_eq!(Shape::of(br#"{"a\"[[[,,,":"]]{"}"#), Shape { values: 3, depth: 1 });
        assert_eq!(Shape::of(b"[[["), Shape { values: 4, depth: 3 });
    }
}
