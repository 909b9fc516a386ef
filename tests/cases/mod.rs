//! What every GPU must do, real or not: plain functions over a device, run on the software Orin
//! by `tests/emulated.rs` and on real hardware by `tests/hardware.rs`.
//!
//! The usual conformance list for hardware command queues, and where each item is:
//!
//! | item | case |
//! |---|---|
//! | signal; with another timeline and value | `signals::both_queues_signal`, `recorded_signal_changes_timeline_and_value` |
//! | wait; satisfied late; with another timeline and value | `signals::wait_for_what_has_happened`, `wait_until_the_cpu_signals`, `recorded_wait_changes_timeline_and_value` |
//! | one kernel; two kernels 100 times | `kernels::vector_add`, `two_kernels_a_hundred_times` |
//! | grid and block patched; 27 local shapes in one queue | `launches::recorded_grids_change` |
//! | copies: small, 64 MiB, beyond 32 bits, patched, patched and long | `copies::small`, `of_64_mib`, `beyond_32_bits`, `recorded_copy_changes_both_sides`, `recorded_long_copy_changes_both_sides` |
//! | commands moved to device memory | `copies::recording_lies_in_gpu_memory` |
//! | kernel time, copy bandwidth | `doorbell bench`: measured, not asserted |
//! | timeline beyond 32 bits; at the wrap | `signals::timeline_passes_32_bits`, `timeline_wraps` |
//! | small copies of rewritten host bytes; through another buffer; between devices | `copies::host_bytes_rewritten_between_copies`, `through_another_buffer`, `between_two_devices_buffers` |
//! | memory barrier, before kernels and copies | `copies::cpu_writes_seen_by_each_copy`, `cpu_writes_seen_after_a_barrier` |
//! | queue writes words; polls bits set and clear | `signals::queue_writes_numbers`, `wait_until_a_bit_is_set`, `wait_until_a_bit_is_clear` |
//! | CPU buffer mapped into the device | `copies::host_memory_both_ways`; a dma-buf: `tests/faults.rs` |
//! | the hang report has address and kind | all of `faults` |
//! | several devices, peer copies, RDMA, cross-device bandwidth | left out: need two GPUs |
//! | ring, commands and arguments wrap with the GPU far behind | `order::ring_far_ahead_of_the_gpu`, `command_memory_far_ahead_of_the_gpu`, `launch_memory_far_ahead_of_the_gpu`, `a_full_ring_times_out_and_loses_nothing` |
//! | a blocked group lets another work | `order::a_blocked_group_lets_another_work` |
//! | launches as a diamond; forks and joins | `launches::a_graph_forks_and_joins` |
//! | dependence counters, a second dependent | all of `graphs`, on Hopper |
//! | releases 1 and 2, reducing releases | left out: the crate encodes none of them; the software Orin's own tests have them |
//! | geometry, pointers to constants and arguments, dynamic shared memory to the limit, named barriers, local memory, banks, 64 KiB bank, clusters, big parameter blocks | `kernels::geometry_as_the_kernel_sees_it`, all of `banks`, `dynamic_shared_memory_up_to_the_limit`, `named_barriers_and_a_bank_of_64_kib`, `local_memory_and_recursion`, `constants_globals_and_tables`, `clusters_read_their_neighbours`, `parameters_up_to_32_kib` |
//! | queues with local memory of different sizes; as many queues as there may be | `devices::queues_keep_their_local_memory`, `many_queues` |
//! | too much asked for is refused before submission | `kernels::refuse_what_cannot_be_launched` |
//! | every kind of fault; others undisturbed; infinite loop | all of `faults`; malformed commands cannot be made through the crate: the software Orin's tests have them |
//! | killed at random moments, set-up included | `tests/killed.rs` |
//! | replays overlap | `order::replays_overlap`, `more_replays_than_instances` |
//! | the GPU itself writes what is read next | `order::engine_updates_what_a_queue_waits_for`, `launches::kernels_read_what_engines_wrote` |
//! | two processes | `tests/killed.rs`, `doorbell compare` beside CUDA; several devices of one: all of `devices`; priorities are left out: the crate has none |
//! | nothing is mapped inside the windows | `limits::windows_are_never_handed_out` |
//! | random operations against an oracle | `random::operations_agree_with_a_sequential_oracle` |

mod banks;
mod copies;
mod devices;
mod faults;
mod graphs;
mod kernels;
mod launches;
mod limits;
mod order;
mod random;
mod signals;

use std::time::Duration;

use doorbell::{Device, Result};

/// One case.
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Device) -> Result<()>,
}

impl Case {
    /// Bytes of memory that it fills, where those are many.
    #[allow(dead_code, reason = "the software Orin's memory is taken only where it is touched")]
    pub fn needs(&self) -> u64 {
        match self.name {
            "copies::beyond_32_bits" => 13 << 30,
            _ => 1 << 30,
        }
    }
}

/// Long enough for any case here, short enough to fail in reasonable time.
const SOON: Duration = Duration::from_secs(20);

macro_rules! cases {
    ($($room:ident: $($name:ident)*;)*) => {
        /// All of them.
        pub const CASES: &[Case] = &[
            $($(Case {
                name: concat!(stringify!($room), "::", stringify!($name)),
                run: $room::$name,
            }),*),*
        ];
    };
}

cases! {
    signals:
        both_queues_signal
        recorded_signal_changes_timeline_and_value
        wait_for_what_has_happened
        wait_until_the_cpu_signals
        recorded_wait_changes_timeline_and_value
        queues_wait_for_each_other
        timeline_passes_32_bits
        timeline_wraps
        queue_writes_numbers
        wait_until_a_bit_is_set
        wait_until_a_bit_is_clear
        recorded_payloads_of_a_word
        timestamps_grow_and_lie_on_the_cpu_time_axis
        every_wait_policy_sees_a_signal;
    copies:
        small
        of_64_mib
        beyond_32_bits
        recorded_copy_changes_both_sides
        recorded_long_copy_changes_both_sides
        recording_lies_in_gpu_memory
        host_bytes_rewritten_between_copies
        through_another_buffer
        between_two_devices_buffers
        cpu_writes_seen_by_each_copy
        cpu_writes_seen_after_a_barrier
        host_memory_both_ways
        of_nothing_and_of_odd_places
        by_a_compute_queue
        refuse_what_cannot_be;
    order:
        ring_far_ahead_of_the_gpu
        command_memory_far_ahead_of_the_gpu
        launch_memory_far_ahead_of_the_gpu
        rings_of_any_size
        a_submission_longer_than_a_ring_entry_holds
        a_full_ring_times_out_and_loses_nothing
        a_blocked_group_lets_another_work
        replays_overlap
        more_replays_than_instances
        engine_updates_what_a_queue_waits_for
        many_commands_in_one_submission
        many_small_submissions
        empty_submissions
        recording_keeps_what_it_uses;
    limits:
        addresses_are_used_again
        dropped_buffers_outlive_their_commands
        windows_are_never_handed_out
        refuse_wrong_slots
        every_verb_refuses_wrong_slots
        refuse_what_belongs_to_another_device
        refuse_places_that_do_not_fit
        only_a_queue_raises_its_own_timeline
        buffers_check_their_bounds
        timeout_names_the_signal;
    kernels:
        vector_add
        parts_that_were_linked
        geometry_as_the_kernel_sees_it
        shared_memory_barriers_and_reductions
        dynamic_shared_memory_up_to_the_limit
        local_memory_and_recursion
        constants_globals_and_tables
        refuse_what_cannot_be_launched
        clusters_read_their_neighbours
        parameters_up_to_32_kib
        named_barriers_and_a_bank_of_64_kib
        cubins_of_other_gpus;
    launches:
        two_kernels_a_hundred_times
        a_chain_of_230
        early_launches_keep_their_order
        an_early_launch_waits_for_a_slow_one
        recorded_arguments_change
        recorded_grids_change
        recorded_signals_around_kernels
        a_group_runs_together_and_what_follows_waits
        a_graph_forks_and_joins
        kernels_read_what_engines_wrote;
    graphs:
        random_graphs_add_up
        early_launches_in_diamonds
        one_to_many_to_one;
    banks:
        pointers_to_constants
        pointers_to_arguments
        sizes_of_shared_memory;
    faults:
        a_read_of_nothing
        a_write_to_nothing
        an_atomic_on_nothing
        a_misaligned_read
        a_jump_into_an_instruction
        a_read_beyond_shared_memory
        a_trap
        a_call_of_what_only_the_runtime_has
        one_bad_thread_is_enough
        a_dead_queue_concerns_only_those_that_depend_on_it
        a_kernel_that_never_ends;
    devices:
        queues_come_and_go_beside_one_that_works
        work_at_the_same_time
        queues_are_closed_in_any_order
        queues_keep_their_local_memory
        many_queues
        threads_share_a_device
        a_queue_that_waits_is_closed_without_harm;
    random:
        operations_agree_with_a_sequential_oracle;
}
