//! Values inside QEMU's option lists.

/// A value as it must stand inside an option list, where a comma ends a value and `,,` is a comma
/// (`util/keyval.c`, `util/qemu-option.c`).
///
/// ```
/// assert_eq!(sampan_config::escaped("a,b=c"), "a,,b=c");
/// ```
pub fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// QEMU's reading of an option list (`get_opt_value`): a value ends at a single comma.
    fn read_value(text: &str) -> (String, &str) {
        let mut value = String::new();
        let mut rest = text;
        loop {
            match rest.find(',') {
                None => return (value + rest, ""),
                Some(at) => {
                    value.push_str(&rest[..at]);
                    rest = &rest[at + 1..];
                    match rest.strip_prefix(',') {
                        Some(more) => {
                            value.push(',');
                            rest = more;
                        }
                        None => return (value, rest),
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_value_becomes_an_option(value in "[a-z,=./ ]{0,40}") {
            let text = escaped(&value) + ",readonly=on";
            let (read, rest) = read_value(&text);
            prop_assert_eq!(read, value);
            prop_assert_eq!(rest, "readonly=on");
        }
    }
}
