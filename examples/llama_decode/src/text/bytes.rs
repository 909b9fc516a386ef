//! The printable letters that stand for bytes in byte-level vocabularies.
//!
//! Bytes that are printable in Latin-1 stand for themselves; the other 68 take the letters from
//! U+0100 on, in order. So a vocabulary is plain text although its tokens are any bytes.

fn is_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The letter of a byte.
pub fn letter(byte: u8) -> char {
    if is_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !is_itself(b)).count();
    char::from_u32(0x100 + before as u32).expect("68 letters follow U+0100")
}

/// The byte of a letter, if it stands for one.
pub fn byte(letter: char) -> Option<u8> {
    match u32::from(letter) {
        code @ 0..=0xff => u8::try_from(code).ok().filter(|&b| is_itself(b)),
        code => (0..=255).filter(|&b| !is_itself(b)).nth(code as usize - 0x100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        for b in 0..=255 {
            assert_eq!(byte(letter(b)), Some(b));
            assert!(!letter(b).is_whitespace() && !letter(b).is_control(), "{b:#x}");
        }
        assert_eq!(letter(b' '), 'Ġ');
        assert_eq!(letter(b'\n'), 'Ċ');
        assert_eq!(letter(0xad), 'Ń');
        assert_eq!(byte('Ń'), Some(0xad));
        assert_eq!(byte('ń'), None);
        assert_eq!(byte(' '), None);
        assert_eq!(byte('€'), None);
    }
}
