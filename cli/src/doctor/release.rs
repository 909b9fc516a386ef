//! Which release of Jetson's software a machine runs.

/// The version in a line like `# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic`.
pub(crate) fn l4t(text: &str) -> Option<String> {
    let (major, rest) = text.strip_prefix("# R")?.split_once(' ')?;
    let revision = rest.split_once("REVISION: ")?.1.split(',').next()?.trim();
    let is_version =
        |text: &str| !text.is_empty() && text.split('.').all(|part| part.parse::<u32>().is_ok());
    (is_version(major) && is_version(revision)).then(|| format!("{major}.{revision}"))
}

/// The JetPack that ships an L4T. Of releases newer than this table, the major version.
pub(crate) fn jetpack(l4t: &str) -> Option<String> {
    let known = [
        ("34.1.0", "5.0 (developer preview)"),
        ("34.1.1", "5.0.1 (developer preview)"),
        ("35.1.0", "5.0.2"),
        ("35.2.1", "5.1"),
        ("35.3.1", "5.1.1"),
        ("35.4.1", "5.1.2"),
        ("35.5.0", "5.1.3"),
        ("35.6.0", "5.1.4"),
        ("35.6.1", "5.1.5"),
        ("36.2.0", "6.0 (developer preview)"),
        ("36.3.0", "6.0"),
        ("36.4.0", "6.1"),
        ("36.4.3", "6.2"),
        ("36.4.4", "6.2.1"),
        ("38.2.0", "7.0"),
    ];
    if let Some((_, jetpack)) = known.iter().find(|(release, _)| *release == l4t) {
        return Some((*jetpack).to_owned());
    }
    match l4t.split('.').next()? {
        "32" => Some("4".to_owned()),
        "34" | "35" => Some("5".to_owned()),
        "36" => Some("6".to_owned()),
        "38" => Some("7".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_named() {
        let line = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot";
        assert_eq!(l4t(line).as_deref(), Some("36.4.3"));
        assert_eq!(jetpack("36.4.3").as_deref(), Some("6.2"));
        assert_eq!(jetpack("36.9.9").as_deref(), Some("6"));
        assert_eq!(jetpack("99.0"), None);
        for bad in ["", "# R (release), REVISION: 4.3,", "# R36 (release)", "R36.4.3"] {
            assert_eq!(l4t(bad), None, "{bad}");
        }
    }
}
