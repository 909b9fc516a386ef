//! Copies of machines' files under `tests/fixtures`, each with the page and the JSON that it must
//! give. After a change that is meant: `doorbell doctor --root FIXTURE > FIXTURE.txt`, and with
//! `--json` into `FIXTURE.json`.

use std::path::PathBuf;

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn copy(name: &str) -> Tree {
    Tree::copy(&fixture(name)).unwrap()
}

fn golden(name: &str) {
    let tree = copy(name);
    let report = examine(&tree, tree.identity().as_ref(), None);
    let wanted =
        |ending: &str| std::fs::read_to_string(fixture(&format!("{name}.{ending}"))).unwrap();
    assert_eq!(report.to_string(), wanted("txt"));
    assert_eq!(serde_json::to_string_pretty(&report).unwrap() + "\n", wanted("json"));
}

#[test]
fn jetpack6() {
    golden("jetpack6");
}

#[test]
fn jetpack5() {
    golden("jetpack5");
}

#[test]
fn no_permission() {
    golden("no-permission");
}

#[test]
fn container() {
    golden("container");
}

#[test]
fn desktop() {
    golden("desktop");
}

#[test]
fn laptop() {
    golden("laptop");
}

/// The codes of what stands in the way.
fn failures(tree: &Tree, who: &Identity) -> Vec<(&'static str, String)> {
    let report = examine(tree, Some(who), None);
    let failures = report.findings.into_iter();
    let failures = failures.filter(|finding| finding.severity == Severity::Failure);
    failures.map(|finding| (finding.code, finding.cure)).collect()
}

fn ada(gids: &[u32]) -> Identity {
    Identity { uid: 1000, gids: gids.to_vec() }
}

#[test]
fn each_user_is_told_what_that_user_lacks() {
    let tree = copy("jetpack6");
    assert_eq!(failures(&tree, &ada(&[1000, 44, 104])), []);
    assert_eq!(failures(&tree, &Identity { uid: 0, gids: vec![0] }), []);
    // Ada is in both groups since she logged in.
    assert_eq!(failures(&tree, &ada(&[1000, 44])), [("login-again", "su - $USER".to_owned())]);
    let stranger = Identity { uid: 1001, gids: vec![1001, 44] };
    let cure = "sudo usermod -aG render $USER   # then log in again".to_owned();
    assert_eq!(failures(&tree, &stranger), [("no-permission", cure)]);
}

/// A fixture of which a test changes some files.
struct Changed(PathBuf);

impl Changed {
    fn new(test: &str, files: &[(&str, &str)]) -> Changed {
        let root = std::env::temp_dir().join(format!("doctor-{test}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Changed(root)
    }

    fn tree(&self) -> Tree {
        Tree::copy(&self.0).unwrap()
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const RELEASE: (&str, &str) = ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 1");

#[test]
fn missing_nodes_are_told_apart_by_what_is_there() {
    let nothing = Changed::new("nothing", &[RELEASE]);
    let cure = "sudo modprobe nvgpu".to_owned();
    assert_eq!(failures(&nothing.tree(), &ada(&[])), [("driver-not-loaded", cure)]);

    let asleep = [
        RELEASE,
        ("nodes.txt", "660 0 44 a:7d /dev/nvmap\n660 0 44 1fa:1 /dev/nvgpu/igpu0/power\n"),
    ];
    let asleep = Changed::new("asleep", &asleep);
    let cure = "echo 1 | sudo tee /dev/nvgpu/igpu0/power".to_owned();
    assert_eq!(failures(&asleep.tree(), &ada(&[44])), [("gpu-never-powered", cure)]);

    let half = [
        RELEASE,
        ("run/.containerenv", ""),
        ("nodes.txt", "666 0 0 1fa:4 /dev/nvgpu/igpu0/ctrl\n"),
    ];
    let half = Changed::new("half", &half);
    let cure = "docker run --device /dev/nvmap IMAGE".to_owned();
    assert_eq!(failures(&half.tree(), &ada(&[])), [("container-without-nodes", cure)]);
}

#[test]
fn a_desktop_driver_without_nodes_is_told_to_make_them() {
    let version = (
        "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue",
    );
    let fresh = Changed::new("fresh", &[version, ("nodes.txt", "666 0 0 c3:ff /dev/nvidiactl\n")]);
    let cure = "sudo nvidia-modprobe -u -c 0".to_owned();
    assert_eq!(failures(&fresh.tree(), &ada(&[])), [("nodes-missing", cure)]);

    let empty = Changed::new("empty", &[version, (".dockerenv", "")]);
    let cure = "docker run --gpus all IMAGE".to_owned();
    assert_eq!(failures(&empty.tree(), &ada(&[])), [("container-without-nodes", cure)]);

    // The third GPU of a host is as good as the first.
    let third =
        "666 0 0 c3:ff /dev/nvidiactl\n666 0 0 c3:2 /dev/nvidia2\n666 0 0 1fe:0 /dev/nvidia-uvm\n";
    let third = Changed::new("third", &[version, ("nodes.txt", third)]);
    assert_eq!(failures(&third.tree(), &ada(&[])), []);
}

#[test]
fn what_is_in_the_way_of_a_node_is_named() {
    let ctrl = "666 0 0 1fa:4 /dev/nvgpu/igpu0/ctrl\n";
    let folder = format!("{ctrl}755 0 0 0:0 /dev/nvmap\n");
    let folder = [RELEASE, (".dockerenv", ""), ("nodes.txt", &folder)];
    let folder = Changed::new("folder", &folder);
    let cure = "docker run --device /dev/nvmap IMAGE".to_owned();
    assert_eq!(failures(&folder.tree(), &ada(&[])), [("not-a-device", cure)]);

    let closed = format!("{ctrl}600 0 0 a:7d /dev/nvmap\n");
    let closed = Changed::new("closed", &[RELEASE, ("nodes.txt", &closed)]);
    let cure = "sudo chmod g+rw /dev/nvmap".to_owned();
    assert_eq!(failures(&closed.tree(), &ada(&[0])), [("no-permission", cure)]);

    // Inside a container the group has a number only.
    let numbered = format!("{ctrl}660 0 44 a:7d /dev/nvmap\n");
    let numbered = [RELEASE, (".dockerenv", ""), ("nodes.txt", &numbered)];
    let numbered = Changed::new("numbered", &numbered);
    let cure = "docker run --group-add 44 ... IMAGE".to_owned();
    assert_eq!(failures(&numbered.tree(), &ada(&[])), [("no-permission", cure)]);
}

#[test]
fn scarce_files_and_memory_are_warnings() {
    let files = [
        (
            "proc/self/limits",
            "Max open files            64                   128                  files",
        ),
        ("proc/meminfo", "MemTotal:  4000000 kB\nMemAvailable:  102400 kB\n"),
    ];
    let scarce = Changed::new("scarce", &files);
    let report = examine(&scarce.tree(), None, None);
    let warnings = report.findings.iter().filter(|finding| finding.severity == Severity::Warning);
    let causes: Vec<_> = warnings.map(|finding| (finding.code, finding.cause.as_str())).collect();
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert!(causes[0].0 == "few-files" && causes[0].1.contains("64"), "{causes:?}");
    assert!(causes[1].0 == "little-memory" && causes[1].1.contains("100 MiB"), "{causes:?}");
}

#[test]
fn a_copy_that_cannot_be_read_is_an_error_that_names_it() {
    let error = Tree::copy(&fixture("nonesuch")).unwrap_err();
    assert!(error.contains("nonesuch"), "{error}");
    let bad = Changed::new("bad", &[("nodes.txt", "rw-rw---- root video /dev/nvmap\n")]);
    let error = Tree::copy(&bad.0).unwrap_err();
    assert!(error.contains("nodes.txt") && error.contains("rw-rw----"), "{error}");
}
