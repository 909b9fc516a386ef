//! Opening, closing and mapping of nodes.

use super::*;

#[test]
fn nodes_have_the_names_of_the_release() {
    let mut new = Board::new();
    let mut old = Board::named("agx-orin-30w-nvhost");
    let names = [
        ("/dev/nvgpu/igpu0/ctrl", "/dev/nvhost-ctrl-gpu"),
        ("/dev/nvgpu/igpu0/tsg", "/dev/nvhost-tsg-gpu"),
        ("/dev/nvgpu/igpu0/channel", "/dev/nvhost-gpu"),
    ];
    for (r36, r35) in names {
        assert!(Nodes::is_node(r36) && Nodes::is_node(r35));
        assert!(new.open(r36).is_ok() && old.open(r35).is_ok());
        assert_eq!(new.open(r35), Err(Errno::ENOENT));
        assert_eq!(old.open(r36), Err(Errno::ENOENT));
        assert!(new.nodes.exists(r36) && !new.nodes.exists(r35));
    }
    assert!(new.open("/dev/nvmap").is_ok() && old.open("/dev/nvmap").is_ok());
}

#[test]
fn other_paths_are_no_nodes() {
    for path in
        ["/dev/null", "/dev/nvgpu/igpu0/nonsense", "/dev/nvhost-vic", "/dev/nvgpux", "/dev/nvidia0"]
    {
        assert!(!Nodes::is_node(path), "{path}");
    }
    assert!(Nodes::is_directory("/dev/nvgpu/igpu0"));
    assert!(!Nodes::is_directory(CTRL));
}

#[test]
fn nodes_that_the_model_lacks_enodev_with_a_word() {
    let mut board = Board::new();
    assert_eq!(board.open("/dev/nvgpu/igpu0/dbg"), Err(Errno::ENODEV));
    assert!(board.warned("/dev/nvgpu/igpu0/dbg"));
    assert_eq!(board.open("/dev/nvgpu/igpu0"), Err(Errno::EACCES));
    assert!(board.warned("cannot list"));
}

#[test]
fn as_node_without_big_pages_einval() {
    let mut board = Board::new();
    assert_eq!(board.open("/dev/nvgpu/igpu0/as"), Err(Errno::EINVAL));
    assert!(board.warned("64 KiB pages"));
    assert!(Board::named("agx-orin-30w-iommu").open("/dev/nvgpu/igpu0/as").is_ok());
}

#[test]
fn channel_node_opens_a_channel() {
    let mut board = Board::new();
    let channel = board.open("/dev/nvgpu/igpu0/channel").unwrap();
    assert_eq!(board.timed_out(channel), 1);
}

#[test]
fn what_the_program_has_no_room_for_is_gone_again() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    (board.program.limit, board.program.secretive) = (2, true);
    let emfile = errno(Errno::EMFILE);
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, alloc_as(START, END)), emfile);
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, Default::default()), emfile);
    assert!(board.nodes.spaces.is_empty() && board.nodes.tsgs.count() == 0);
    assert_eq!(board.nodes.files.len(), 1);
}

#[test]
fn a_file_that_was_closed_ebadf() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let file = board.program.file(ctrl);
    board.close(ctrl);
    let (gpu, program) = (&mut board.gpu, &mut board.program);
    assert_eq!(board.nodes.ioctl(gpu, program, file, 0, 0), errno(Errno::EBADF));
    assert_eq!(board.nodes.mmap(gpu, program, file, 0, 0, 0, 0), Err(Errno::EBADF));
}

#[test]
fn closing_ctrl_leaves_what_was_opened_from_it() {
    let mut board = Board::new();
    let rig = board.rig();
    board.close(rig.ctrl);
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
}

#[test]
fn mmap_of_ctrl_without_usermode_submit_enosys() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::SUPPORT_USERMODE_SUBMIT);
    let mut board = Board::with(profile);
    let ctrl = board.ctrl();
    assert_eq!(board.mmap(ctrl, 0x2_0000, libc::MAP_SHARED, 4096), Err(Errno::ENOSYS));
}

#[test]
fn mmap_of_ctrl_twice_ebusy_until_unmapped() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let first = board.mmap(ctrl, 0x1_0000, libc::MAP_SHARED, 0).unwrap();
    // Before the length is looked at.
    assert_eq!(board.mmap(ctrl, 0x2_0000, libc::MAP_SHARED, 0), Err(Errno::EBUSY));
    let other = board.ctrl();
    assert!(board.mmap(other, 0x1000, libc::MAP_SHARED, 0).is_ok());
    board.unmap(first);
    assert!(board.mmap(ctrl, 0x1000, libc::MAP_SHARED, 0).is_ok());
}

#[test]
fn mmap_of_ctrl_longer_than_64_kib_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(board.mmap(ctrl, 0x1_1000, libc::MAP_SHARED, 0), Err(Errno::EINVAL));
}

#[test]
fn mmap_of_ctrl_not_from_its_start_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(board.mmap(ctrl, 0x1000, libc::MAP_SHARED, 4096), Err(Errno::EINVAL));
}

#[test]
fn mapping_of_ctrl_keeps_its_page_after_close() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let address = board.mmap(ctrl, 0x1_0000, libc::MAP_SHARED, 0).unwrap();
    board.close(ctrl);
    assert_eq!(board.nodes.doorbell_pages().count(), 1);
    board.unmap(address);
    assert_eq!(board.nodes.doorbell_pages().count(), 0);
}
