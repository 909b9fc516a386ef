//! NVMAP_IOC_ALLOC row by row.

use super::*;

fn alloc(change: impl FnOnce(&mut nvmap_alloc_handle)) -> Answer {
    let mut board = Board::new();
    let mut args = plain(board.create(0x1000).unwrap());
    change(&mut args);
    board.alloc(args)
}

#[test]
fn alloc_align_not_a_power_of_two_einval() {
    assert_eq!(alloc(|args| args.align = 3), einval());
    assert_eq!(alloc(|args| args.align = 0), Ok(0));
    assert_eq!(alloc(|args| args.align = 1 << 31), Ok(0));
}

#[test]
fn alloc_handle_zero_einval() {
    assert_eq!(alloc(|args| args.handle = 0), einval());
}

#[test]
fn alloc_numa_node_out_of_range_einval() {
    for (node, answer) in [(-2, einval()), (17, einval()), (-1, Ok(0)), (0, Ok(0)), (16, Ok(0))] {
        assert_eq!(alloc(|args| args.numa_nid = node), answer, "{node}");
    }
}

#[test]
fn alloc_unknown_handle_einval() {
    assert_eq!(alloc(|args| args.handle += 1), einval());
}

#[test]
fn alloc_dmabuf_descriptor_for_a_handle_einval() {
    let mut board = Board::new();
    let empty = board.empty_buffer();
    assert_eq!(board.alloc(plain(empty as u32)), einval());
}

#[test]
fn alloc_no_heap_enomem() {
    assert_eq!(alloc(|args| args.heap_mask = 0), errno(Errno::ENOMEM));
}

#[test]
fn alloc_heap_that_does_not_exist_enomem() {
    assert_eq!(alloc(|args| args.heap_mask = 1 << 31), errno(Errno::ENOMEM));
    assert_eq!(alloc(|args| args.heap_mask = NVMAP_HEAP_CARVEOUT_GPU), errno(Errno::ENOMEM));
    assert_eq!(alloc(|args| args.heap_mask = NVMAP_HEAP_CARVEOUT_FSI), Ok(0));
}

#[test]
fn alloc_carveout_too_small_enomem() {
    let mut board = Board::new();
    let handle = board.create(257 * MIB).unwrap();
    let args = nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_FSI, ..plain(handle) };
    assert_eq!(board.alloc(args), errno(Errno::ENOMEM));
}

#[test]
fn alloc_generic_heap_is_plain_memory() {
    let mut board = Board::new();
    let handle = board.create(0x1000).unwrap();
    board
        .alloc(nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_GENERIC, ..plain(handle) })
        .unwrap();
    assert_eq!(board.parameters(handle).unwrap().heap, u64::from(IOVMM));
}

#[test]
fn alloc_more_than_all_memory_enomem() {
    let profile = Profile { total_ram: 8 * MIB, ..Profile::default() };
    let mut board = Board::with(profile);
    let handle = board.create(8 * MIB + 1).unwrap();
    assert_eq!(board.alloc(plain(handle)), errno(Errno::ENOMEM));
    // That is looked at before the mix of heaps.
    let mixed = nvmap_alloc_handle { heap_mask: IOVMM | NVMAP_HEAP_CARVEOUT_IVM, ..plain(handle) };
    assert_eq!(board.alloc(mixed), errno(Errno::ENOMEM));
    // A carveout is not part of it.
    let carveout = nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_FSI, ..plain(handle) };
    assert_eq!(board.alloc(carveout), Ok(0));
    let handle = board.create(8 * MIB).unwrap();
    assert_eq!(board.alloc(plain(handle)), Ok(0));
}

#[test]
fn alloc_again_eexist() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    assert_eq!(board.alloc(plain(handle)), errno(Errno::EEXIST));
}

#[test]
fn alloc_heap_is_looked_at_before_an_earlier_allocation() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let args = nvmap_alloc_handle { heap_mask: 0, ..plain(handle) };
    assert_eq!(board.alloc(args), errno(Errno::ENOMEM));
}

#[test]
fn alloc_ivm_or_vidmem_with_other_heaps_einval() {
    assert_eq!(alloc(|args| args.heap_mask |= NVMAP_HEAP_CARVEOUT_IVM), einval());
    assert_eq!(alloc(|args| args.heap_mask |= NVMAP_HEAP_CARVEOUT_VIDMEM), einval());
    let ivm = crate::profile::Carveout { heap: NVMAP_HEAP_CARVEOUT_IVM, size: MIB };
    let mut board = Board::with(Profile { carveouts: vec![ivm], ..Profile::default() });
    let handle = board.create(0x1000).unwrap();
    let alone = nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_IVM, ..plain(handle) };
    assert_eq!(board.alloc(alone), Ok(0));
}

#[test]
fn alloc_earlier_allocation_is_looked_at_before_the_mix_of_heaps() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let args = nvmap_alloc_handle { heap_mask: IOVMM | NVMAP_HEAP_CARVEOUT_IVM, ..plain(handle) };
    assert_eq!(board.alloc(args), errno(Errno::EEXIST));
}

#[test]
fn alloc_no_memory_left_enomem_until_some_is_freed() {
    let profile = Profile { total_ram: 8 * MIB, ..Profile::default() };
    let mut board = Board::with(profile);
    let first = board.handle(6 * MIB);
    let second = board.create(4 * MIB).unwrap();
    assert_eq!(board.alloc(plain(second)), errno(Errno::ENOMEM));
    board.free(first).unwrap();
    assert_eq!(board.alloc(plain(second)), Ok(0));
}

#[test]
fn alloc_fault_strikes_the_nth_allocation() {
    let mut board = Board::injecting(Profile::default(), "alloc@2".parse().unwrap());
    board.handle(0x1000);
    let handle = board.create(0x1000).unwrap();
    assert_eq!(board.alloc(plain(handle)), errno(Errno::ENOMEM));
    assert_eq!(board.alloc(plain(handle)), Ok(0));
}

#[test]
fn alloc_without_tag_is_reported_once_per_client() {
    let mut board = Board::new();
    for reported in [true, false] {
        let handle = board.create(0x1000).unwrap();
        board
            .alloc(nvmap_alloc_handle { flags: NVMAP_HANDLE_WRITE_COMBINE, ..plain(handle) })
            .unwrap();
        assert_eq!(board.warned("without a tag"), reported);
    }
}

#[test]
fn memory_is_zeroed() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let memory = board.nodes.nvmap.memory_of(1000, handle);
    let mut bytes = [1; 0x1000];
    memory.read(0, &mut bytes);
    assert_eq!(bytes, [0; 0x1000]);
}
