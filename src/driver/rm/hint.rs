//! What the desktop driver's refusals mean, and what to do about them.

use ioctl_defs::rm::status::*;
use nix::errno::Errno;

use crate::driver::sys::Node;
use crate::error::{Error, Result};

/// Turns the result that RM or UVM left in an argument into an error.
pub(crate) fn check(call: &'static str, node: &Node, status: u32) -> Result<()> {
    if status == NV_OK {
        return Ok(());
    }
    tracing::debug!(%call, node = node.name(), status, "refused");
    Err(Error::Rm { call, node: node.name().to_owned(), status, hint: cause(status).to_owned() })
}

/// The likely cause of a result, and its cure.
fn cause(status: u32) -> &'static str {
    match status {
        NV_ERR_INSUFFICIENT_PERMISSIONS | NV_ERR_PRIV_SEC_VIOLATION => {
            "this user may not do that; a container may need more of the host's rights"
        }
        NV_ERR_INVALID_CLASS => "this GPU does not have that class; `nvidia-smi` names the GPU",
        NV_ERR_NO_MEMORY | NV_ERR_INSUFFICIENT_RESOURCES | NV_ERR_NO_FREE_FIFOS => {
            "memory or channels of the GPU are used up; `nvidia-smi` shows by whom"
        }
        NV_ERR_INVALID_ARGUMENT | NV_ERR_INVALID_PARAM_STRUCT | NV_ERR_LIB_RM_VERSION_MISMATCH => {
            "the driver understood the request differently; branch 580 is what this crate speaks, see /proc/driver/nvidia/version"
        }
        NV_ERR_GPU_IS_LOST | NV_ERR_RESET_REQUIRED | NV_ERR_GPU_IN_FULLCHIP_RESET => {
            "the GPU does not answer any more; `dmesg` says why, and a reboot cures it"
        }
        NV_ERR_INVALID_STATE | NV_ERR_STATE_IN_USE => {
            "the GPU is in a mode that does not allow it, such as MIG without an instance; see `nvidia-smi -q`"
        }
        NV_ERR_PAGE_TABLE_NOT_AVAIL => {
            "the address space belongs to another process; open the device after fork, not before"
        }
        NV_ERR_UVM_ADDRESS_IN_USE => "something in this process has taken those addresses",
        NV_ERR_NOT_SUPPORTED => "this GPU or this release of the driver cannot do it",
        _ => "the driver did not accept the request; `dmesg` may say more",
    }
}

/// The likely cause of a refused system call, and its cure.
pub(crate) fn errno(call: &str, node: &str, errno: Errno) -> String {
    match (call, errno) {
        ("open", Errno::EACCES | Errno::EPERM) => format!(
            "this user may not open it (`ls -l {node}` shows who may); in a container, pass it in with `--device` or the NVIDIA runtime"
        ),
        ("open", Errno::ENOENT | Errno::ENXIO | Errno::ENODEV) => {
            "there is no such node; load the driver and have it make its nodes with `sudo nvidia-modprobe -u -c 0`, or pass it into the container (`--gpus all`)".to_owned()
        }
        ("open", Errno::EIO) => {
            "the driver could not start the GPU; `dmesg` says why".to_owned()
        }
        (_, Errno::EMFILE | Errno::ENFILE) => {
            "too many files are open; raise the limit (`ulimit -n`)".to_owned()
        }
        (_, Errno::ENOMEM) => {
            "memory or addresses are used up; look at `free -h` and /proc/sys/vm/max_map_count"
                .to_owned()
        }
        (_, Errno::EINVAL | Errno::ENOTTY) => {
            "this release of the driver does not know the call in this form; branch 580 does, see /proc/driver/nvidia/version".to_owned()
        }
        _ => "the driver did not accept the request; `dmesg` may say more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_call_node_result_and_cure() {
        let node = Node::open("/dev/null", errno).unwrap();
        assert_eq!(check("SOME_CLASS", &node, NV_OK), Ok(()));
        let refusal = check("SOME_CLASS", &node, NV_ERR_NO_MEMORY).unwrap_err().to_string();
        for part in ["SOME_CLASS", "/dev/null", "NV_ERR_NO_MEMORY (0x51)", "nvidia-smi"] {
            assert!(refusal.contains(part), "{refusal}");
        }
        let unknown = check("SOME_CLASS", &node, 0xdead).unwrap_err().to_string();
        assert!(unknown.contains("an unknown result (0xdead)"), "{unknown}");
    }
}
