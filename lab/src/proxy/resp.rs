//! Finds the end of a value in Redis's protocol (RESP2 and RESP3, "Redis serialization protocol specification").

/// The length of the first value, if it is complete. A command on a plain line counts as a value.
pub(super) fn first_value(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut values) = (0_usize, 1_u64);
    while values > 0 {
        values -= 1;
        let rest = bytes.get(at..)?;
        let end = rest.windows(2).position(|end| end == b"\r\n")?;
        let (kind, number) = (rest.first()?, rest.get(1..end).and_then(number).unwrap_or(0));
        at += end + 2;
        match kind {
            // A string: this many bytes and an end of line.
            b'$' | b'=' | b'!' => at = at.checked_add(usize::try_from(number).ok()?)?.checked_add(2)?,
            // A list or set of this many values, a map of this many pairs, or attributes, which come before their value.
            b'*' | b'~' | b'>' => values = values.checked_add(number)?,
            b'%' => values = values.checked_add(number.checked_mul(2)?)?,
            b'|' => values = values.checked_add(number.checked_mul(2)?)?.checked_add(1)?,
            _ => {}
        }
        // The null string and the null list have the length -1 and no content.
        if matches!(kind, b'$' | b'=' | b'!') && rest.get(1) == Some(&b'-') {
            at -= 2;
        }
    }
    (at <= bytes.len()).then_some(at)
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that no shorter beginning is a whole value, and that later bytes do not matter.
    #[track_caller]
    fn check(value: &str) {
        let bytes = [value.as_bytes(), b"+next\r\n"].concat();
        for length in 0..value.len() {
            assert_eq!(first_value(&bytes[..length]), None, "{:?}", &value[..length]);
        }
        assert_eq!(first_value(&bytes), Some(value.len()), "{value:?}");
    }

    #[test]
    fn values_of_every_kind_are_told_apart() {
        for value in
            ["+OK\r\n", "-ERR no\r\n", ":42\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(123\r\n", "PING now\r\n"]
        {
            check(value);
        }
        for value in ["$5\r\na\r\nbc\r\n", "$0\r\n\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "=7\r\ntxt:abc\r\n"]
        {
            check(value);
        }
        check("*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$2\r\n\r\n\r\n");
        check("*2\r\n*1\r\n:1\r\n%1\r\n+key\r\n*2\r\n+a\r\n$-1\r\n");
        check("|1\r\n+ttl\r\n:9\r\n~2\r\n:1\r\n:2\r\n");
    }

    #[test]
    fn absurd_message_lengths_never_overflow() {
        for value in
            ["$18446744073709551615\r\n", "*18446744073709551615\r\n", "%18446744073709551615\r\n:1\r\n"]
        {
            assert_eq!(first_value(value.as_bytes()), None);
        }
    }
}
