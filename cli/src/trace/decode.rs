//! Bytes of an ioctl's argument as text, by the registry of definitions.

use std::fmt::Write;

use ioctl_defs::{Entry, Field, Struct, rm};

/// The fields of an argument that are not zero; or, with the bytes from before a call, those that it changed.
pub(super) fn argument(name: &str, bytes: &[u8], before: Option<&[u8]>) -> String {
    // The lists hold vendor's names where Rust cannot have them: of two shapes of one union the first.
    let known = ioctl_defs::structs().find(|known| known.vendor == name);
    let Some(known) = known.filter(|known| known.size <= bytes.len()) else {
        let changed = before.is_none_or(|before| before != bytes);
        return if changed { number_or_bytes(bytes) } else { String::new() };
    };
    let mut text = String::new();
    for field in known.fields.iter().filter(|field| !field.is_padding()) {
        let place = field.offset..field.offset + field.size;
        let value = &bytes[place.clone()];
        let shown = match before {
            Some(before) => value != &before[place.clone()],
            None => value.iter().any(|&byte| byte != 0),
        };
        if shown {
            let separator = if text.is_empty() { "" } else { ", " };
            let value = self::value(known, field, value, before.map(|before| &before[place]));
            _ = write!(text, "{separator}{}: {value}", field.name);
        }
    }
    text
}

/// What stands behind a number that is the name of something, such as a class.
pub(super) fn named(
    entries: impl Iterator<Item = &'static Entry>,
    number: u32,
) -> Option<&'static Entry> {
    let mut entries = entries;
    entries.find(|entry| entry.number == number)
}

/// The result of a call of RM or UVM, which is in its argument, where it is not success.
pub(super) fn refusal(name: &str, bytes: &[u8]) -> Option<String> {
    let known = ioctl_defs::structs().find(|known| known.vendor == name)?;
    for field in known.fields {
        let value = bytes.get(field.offset..field.offset + field.size)?;
        if is_status(known, field) && value.iter().any(|&byte| byte != 0) {
            return Some(status(value));
        }
        let inside = ioctl_defs::structs().any(|inner| inner.vendor == field.ty);
        if let Some(refusal) = inside.then(|| refusal(field.ty, value)).flatten() {
            return Some(refusal);
        }
    }
    None
}

fn value(of: &Struct, field: &Field, bytes: &[u8], before: Option<&[u8]>) -> String {
    if is_status(of, field) {
        return status(bytes);
    }
    if ioctl_defs::structs().any(|known| known.vendor == field.ty) {
        return format!("{{{}}}", argument(field.ty, bytes, before));
    }
    let signed = field.ty.starts_with('i');
    match signed.then(|| integer(bytes)).flatten() {
        // Signed fields hold descriptors and the like: -1 says that there is none.
        Some(value) => {
            let unused = 64 - 8 * bytes.len() as u32;
            ((value << unused) as i64 >> unused).to_string()
        }
        None => number_or_bytes(bytes),
    }
}

/// RM and UVM say in the argument how a call went.
fn is_status(of: &Struct, field: &Field) -> bool {
    let from_rm = ["NV", "nv_ioctl", "UVM"].iter().any(|prefix| of.vendor.starts_with(prefix));
    from_rm && field.ty == "u32" && ["status", "Status", "rmStatus"].contains(&field.name)
}

fn status(bytes: &[u8]) -> String {
    let number = integer(bytes).unwrap_or_default() as u32;
    rm::status::name(number).map_or_else(|| format!("{number:#x}"), str::to_owned)
}

fn integer(bytes: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    matches!(bytes.len(), 1 | 2 | 4 | 8).then(|| u64::from_le_bytes(wide))
}

fn number_or_bytes(bytes: &[u8]) -> String {
    const MOST: usize = 16;

    if let Some(number) = integer(bytes) {
        return if number < 1000 { number.to_string() } else { format!("{number:#x}") };
    }
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.len() > 1 && text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return format!("{:?}", String::from_utf8_lossy(text));
    }
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1).min(bytes.len());
    let mut hex = String::new();
    for byte in &bytes[..end.min(MOST)] {
        _ = write!(hex, "{byte:02x}");
    }
    let more = if end > MOST { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    hex + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use ioctl_defs::nvgpu::address_space::nvgpu_as_map_buffer_ex_args;
    use ioctl_defs::rm::escape::{NVOS33_PARAMETERS, nv_ioctl_nvos33_parameters_with_fd};
    use ioctl_defs::rm::status::NV_ERR_INVALID_STATE;
    use zerocopy::IntoBytes;

    #[test]
    fn what_is_zero_is_left_out_and_small_numbers_are_decimal() {
        let args = nvgpu_as_map_buffer_ex_args {
            compr_kind: -1,
            dmabuf_fd: 7,
            mapping_size: 0x10000,
            ..Default::default()
        };
        assert_eq!(
            argument("nvgpu_as_map_buffer_ex_args", args.as_bytes(), None),
            "compr_kind: -1, dmabuf_fd: 7, mapping_size: 0x10000"
        );
    }

    #[test]
    fn after_a_call_what_it_changed_is_shown() {
        let before = nvgpu_as_map_buffer_ex_args { dmabuf_fd: 7, ..Default::default() };
        let after = nvgpu_as_map_buffer_ex_args { offset: 0xff_ffa0_0000, ..before };
        let changed = |after: &nvgpu_as_map_buffer_ex_args| {
            argument("nvgpu_as_map_buffer_ex_args", after.as_bytes(), Some(before.as_bytes()))
        };
        assert_eq!(changed(&after), "offset: 0xffffa00000");
        assert_eq!(changed(&before), "");
    }

    #[test]
    fn what_rm_refuses_has_its_name_also_in_a_struct_within() {
        let params = NVOS33_PARAMETERS { status: NV_ERR_INVALID_STATE, ..Default::default() };
        let args = nv_ioctl_nvos33_parameters_with_fd { params, fd: -1, ..Default::default() };
        let (name, bytes) = ("nv_ioctl_nvos33_parameters_with_fd", args.as_bytes());
        assert_eq!(argument(name, bytes, None), "params: {status: NV_ERR_INVALID_STATE}, fd: -1");
        assert_eq!(refusal(name, bytes).as_deref(), Some("NV_ERR_INVALID_STATE"));
        assert_eq!(refusal(name, nv_ioctl_nvos33_parameters_with_fd::default().as_bytes()), None);
    }

    #[test]
    fn what_nobody_declared_is_shown_as_bytes() {
        assert_eq!(argument("", &[1, 2, 0, 0, 0], None), "0102");
        assert_eq!(argument("", b"580.159.04\0\0", None), "\"580.159.04\"");
        assert_eq!(argument("", &[0xff; 40], None), format!("{}... (40 bytes)", "ff".repeat(16)));
        assert_eq!(argument("u32", &[5, 0, 0, 0], None), "5");
    }
}
