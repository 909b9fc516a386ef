//! The files that doctor reads: those of this machine, or a copy of another machine's.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

/// A folder with the files of a machine, as they stand under `/`.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    /// A copy cannot hold device nodes: they are listed instead.
    listed: Option<Vec<Node>>,
}

/// What is known of a device node without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) path: String,
    /// False for what only stands in a node's place: container engines create a folder where a
    /// volume's source is missing.
    pub(crate) is_device: bool,
    /// The permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// What the kernel says about opening it, where it can be asked. It knows access control
    /// lists, which the mode does not show.
    pub(crate) openable: Option<bool>,
}

/// Who would open a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gids: Vec<u32>,
}

/// The list of nodes in a copy of a machine's files.
pub(crate) const NODE_LIST: &str = "nodes.txt";

impl Tree {
    /// This machine.
    pub(crate) fn live() -> Tree {
        Tree { root: PathBuf::from("/"), listed: None }
    }

    /// A copy in `root`.
    pub(crate) fn copy(root: &Path) -> Result<Tree, String> {
        let root = fs::canonicalize(root)
            .ok()
            .filter(|root| root.is_dir())
            .ok_or_else(|| format!("there is no folder {}", root.display()))?;
        let list = root.join(NODE_LIST);
        let text = if list.exists() {
            fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?
        } else {
            String::new()
        };
        let listed = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                parse_listed(line)
                    .ok_or_else(|| format!("{}: cannot read `{line}`", list.display()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Tree { root, listed: Some(listed) })
    }

    /// Whether this is the machine that we run on.
    pub(crate) fn is_live(&self) -> bool {
        self.listed.is_none()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text, without the white space and zero bytes around it.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// A file that holds one number.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A device node, if it is there.
    pub(crate) fn node(&self, path: &str) -> Option<Node> {
        match &self.listed {
            Some(nodes) => nodes.iter().find(|node| node.path == path).cloned(),
            None => live_node(path),
        }
    }

    /// The user and the groups of the process that looks.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let status = self.text("/proc/self/status")?;
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().map(|number| number.parse().ok()).collect()
        };
        // Real, effective, saved, file system: the second one opens files.
        let uid = *numbers("Uid:")?.get(1)?;
        let mut gids = vec![*numbers("Gid:")?.get(1)?];
        gids.extend(numbers("Groups:")?);
        gids.sort_unstable();
        gids.dedup();
        Some(Identity { uid, gids })
    }
}

fn live_node(path: &str) -> Option<Node> {
    let metadata = fs::metadata(path).ok()?;
    let wanted = AccessFlags::R_OK | AccessFlags::W_OK;
    let cwd = nix::fcntl::AT_FDCWD;
    Some(Node {
        path: path.to_owned(),
        is_device: metadata.file_type().is_char_device(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        openable: Some(faccessat(cwd, path, wanted, AtFlags::AT_EACCESS).is_ok()),
    })
}

/// One line of `stat -c '%a %u %g %t:%T %n'`. The device number tells nodes from other files.
fn parse_listed(line: &str) -> Option<Node> {
    let mut words = line.split_whitespace();
    let node = Node {
        mode: u32::from_str_radix(words.next()?, 8).ok()?,
        uid: words.next()?.parse().ok()?,
        gid: words.next()?.parse().ok()?,
        is_device: words.next()? != "0:0",
        path: words.next()?.to_owned(),
        openable: None,
    };
    (words.next().is_none() && node.path.starts_with('/')).then_some(node)
}

impl Node {
    /// Whether this user may open the node for reading and writing.
    pub(crate) fn opens_for(&self, who: &Identity) -> bool {
        self.openable.unwrap_or_else(|| {
            let granted = if self.uid == who.uid {
                self.mode >> 6
            } else if who.gids.contains(&self.gid) {
                self.mode >> 3
            } else {
                self.mode
            };
            who.uid == 0 || granted & 0o6 == 0o6
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(mode: u32) -> Node {
        Node { path: "/dev/nvmap".into(), is_device: true, mode, uid: 0, gid: 44, openable: None }
    }

    #[test]
    fn the_first_class_that_matches_decides() {
        let who = |uid, gids: &[u32]| Identity { uid, gids: gids.to_vec() };
        assert!(node(0o660).opens_for(&who(1000, &[1000, 44])));
        assert!(!node(0o660).opens_for(&who(1000, &[1000])));
        assert!(!node(0o640).opens_for(&who(1000, &[44])));
        assert!(node(0o666).opens_for(&who(1000, &[])));
        // A group that is denied stays denied, though others may.
        assert!(!node(0o606).opens_for(&who(1000, &[44])));
        assert!(node(0o000).opens_for(&who(0, &[])));
        assert!(node(0o660).opens_for(&who(0, &[])));
        let owned = Node { uid: 1000, ..node(0o060) };
        assert!(!owned.opens_for(&who(1000, &[44])));
    }

    #[test]
    fn what_the_kernel_said_counts_for_more() {
        let listed = Node { openable: Some(true), ..node(0o600) };
        assert!(listed.opens_for(&Identity { uid: 1000, gids: vec![] }));
    }

    #[test]
    fn lists_are_what_stat_prints() {
        let read = parse_listed("660 0 44 a:77 /dev/nvmap").unwrap();
        assert_eq!(read, node(0o660));
        assert!(!parse_listed("755 0 0 0:0 /dev/nvmap").unwrap().is_device);
        for bad in ["", "660 0 44 /dev/nvmap", "9 0 44 a:77 /dev/nvmap", "660 0 44 a:77 nvmap"] {
            assert_eq!(parse_listed(bad), None, "{bad}");
        }
    }
}
