//! The vendor's names nest: METHOD, METHOD_FIELD, METHOD_FIELD_VALUE. The declarations spell each
//! in full, so that a search finds them; these functions take the outer name off again.

/// What follows `owner` and an underscore in `full`; a name that does not nest stops the build.
pub(crate) const fn after(full: &'static str, owner: &str) -> &'static str {
    let (head, tail) = full.as_bytes().split_at(owner.len());
    assert!(same(head, owner.as_bytes()), "a name starts with its owner's name");
    assert!(tail.len() > 1 && tail[0] == b'_', "an underscore joins the two names");
    match core::str::from_utf8(tail.split_at(1).1) {
        Ok(name) => name,
        Err(_) => panic!("names are ASCII"),
    }
}

/// Whether the vendor calls these bits reserved.
pub(crate) const fn has_reserved(name: &str) -> bool {
    let name = name.as_bytes();
    let word = b"RESERVED";
    let mut start = 0;
    while start + word.len() <= name.len() {
        if same(name.split_at(start).1.split_at(word.len()).0, word) {
            return true;
        }
        start += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
