use std::thread;
use std::time::{Duration, Instant};

use doorbell::{Commands, Device, Error, Memory, Result, WaitPolicy};

use super::SOON;

pub fn both_queues_signal(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let timeline = device.timeline()?;
        assert_eq!(timeline.value(), 0);
        queue.signal(&timeline, 7)?;
        let ticket = queue.submit()?.detach();
        timeline.wait(7, SOON)?;
        ticket.wait(SOON)?;
        assert_eq!(timeline.value(), 7);
        assert!(ticket.is_done());
        assert!(!timeline.reached(8));
    }
    Ok(())
}

pub fn recorded_signal_changes_timeline_and_value(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let (first, second) = (device.timeline()?, device.timeline()?);
        let mut recorder = queue.record();
        let (timeline, value) = (recorder.timeline_slot(&first)?, recorder.value_slot(1)?);
        recorder.signal(timeline, value)?;
        let mut recording = recorder.finish()?;

        queue.replay(&mut recording)?.wait(SOON)?;
        assert_eq!((first.value(), second.value()), (1, 0));

        recording.set_timeline(timeline, &second)?;
        recording.set_value(value, 0x1_0000_0002)?;
        queue.replay(&mut recording)?.wait(SOON)?;
        assert_eq!((first.value(), second.value()), (1, 0x1_0000_0002));
    }
    Ok(())
}

pub fn wait_for_what_has_happened(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let (before, after) = (device.timeline()?, device.timeline()?);
        before.set(5);
        queue.wait(&before, 3)?.signal(&after, 1)?;
        queue.submit()?.wait(SOON)?;
        assert_eq!(after.value(), 1);
    }
    Ok(())
}

pub fn wait_until_the_cpu_signals(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let (before, after) = (device.timeline()?, device.timeline()?);
        queue.wait(&before, 1)?.signal(&after, 1)?;
        let ticket = queue.submit()?.detach();
        match ticket.wait(Duration::from_millis(500)) {
            Err(Error::Timeout { last_seen, waited, .. }) => {
                assert!(last_seen < ticket.value());
                assert!(waited >= Duration::from_millis(500));
            }
            other => panic!("the queue was to be held, not {other:?}"),
        }
        assert_eq!(after.value(), 0);
        before.set(1);
        ticket.wait(SOON)?;
        assert_eq!(after.value(), 1);
    }
    Ok(())
}

pub fn recorded_wait_changes_timeline_and_value(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let (first, second, done) = (device.timeline()?, device.timeline()?, device.timeline()?);
        let mut recorder = queue.record();
        let (timeline, value) = (recorder.timeline_slot(&first)?, recorder.value_slot(1)?);
        let step = recorder.value_slot(1)?;
        recorder.wait(timeline, value)?.signal(&done, step)?;
        let mut recording = recorder.finish()?;

        first.set(1);
        queue.replay(&mut recording)?.wait(SOON)?;
        assert_eq!(done.value(), 1);

        recording.set_timeline(timeline, &second)?;
        recording.set_value(value, 10)?;
        recording.set_value(step, 2)?;
        let ticket = queue.replay(&mut recording)?.detach();
        second.set(9);
        thread::sleep(Duration::from_millis(5));
        assert!(!ticket.is_done(), "9 is not yet 10");
        second.set(10);
        ticket.wait(SOON)?;
        assert_eq!(done.value(), 2);
    }
    Ok(())
}

pub fn queues_wait_for_each_other(device: &Device) -> Result<()> {
    let (mut compute, mut copy) = (device.compute_queue()?, device.copy_queue()?);
    let (ping, pong) = (device.timeline()?, device.timeline()?);
    // Each round waits for the other queue's last one, and all rounds are in flight together.
    for round in 1..=50 {
        compute.wait(&pong, round - 1)?.signal(&ping, round)?;
        compute.submit()?;
        copy.wait(&ping, round)?.signal(&pong, round)?;
        copy.submit()?;
    }
    pong.wait(50, SOON)?;
    assert_eq!(ping.value(), 50);
    assert!(pong.timestamp_ns() >= ping.timestamp_ns());
    Ok(())
}

pub fn timeline_passes_32_bits(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let timeline = device.timeline()?;
        let start = (1 << 32) - 20;
        timeline.set(start);
        for value in start + 1..=start + 40 {
            queue.wait(&timeline, value - 1)?.signal(&timeline, value)?;
            queue.submit()?;
        }
        timeline.wait(start + 40, SOON)?;
        assert_eq!(timeline.value(), start + 40);
    }
    Ok(())
}

pub fn timeline_wraps(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let (timeline, done) = (device.timeline()?, device.timeline()?);
        timeline.set(u64::MAX - 1);
        assert!(timeline.reached(u64::MAX - 1) && !timeline.reached(1));
        // 1 comes after u64::MAX - 1 on a circle.
        queue.wait(&timeline, 1)?.signal(&done, 1)?;
        let ticket = queue.submit()?.detach();
        timeline.set(u64::MAX);
        thread::sleep(Duration::from_millis(5));
        assert!(!ticket.is_done(), "the timeline has not wrapped yet");
        timeline.set(1);
        ticket.wait(SOON)?;
        assert_eq!(done.value(), 1);
        timeline.wait(u64::MAX, SOON)?;
    }
    Ok(())
}

pub fn queue_writes_numbers(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let buffer = device.alloc_in::<u32>(Memory::Host, 8)?;
        buffer.write(0, &[0x1111_1111; 8])?;
        queue.write(buffer.slice(1..2)?, 0xdead_beef)?;
        queue.write(buffer.slice(4..6)?, 0x0123_4567_89ab_cdef)?;
        queue.submit()?.wait(SOON)?;
        let expected = [
            0x1111_1111,
            0xdead_beef,
            0x1111_1111,
            0x1111_1111,
            0x89ab_cdef,
            0x0123_4567,
            0x1111_1111,
            0x1111_1111,
        ];
        assert_eq!(buffer.to_vec()?, expected);
    }
    Ok(())
}

pub fn wait_until_a_bit_is_set(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let word = device.alloc_in::<u32>(Memory::Host, 1)?;
        word.set(0, 0x7)?;
        queue.wait_bit_set(&word, 0x18)?;
        let ticket = queue.submit()?.detach();
        thread::sleep(Duration::from_millis(5));
        assert!(!ticket.is_done(), "only other bits are set");
        word.set(0, 0xff10)?;
        ticket.wait(SOON)?;
    }
    Ok(())
}

pub fn wait_until_a_bit_is_clear(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let word = device.alloc_in::<u32>(Memory::Host, 1)?;
        word.set(0, 0x18)?;
        queue.wait_bit_clear(&word, 0x18)?;
        let ticket = queue.submit()?.detach();
        thread::sleep(Duration::from_millis(5));
        assert!(!ticket.is_done(), "only other bits are clear");
        word.set(0, 0xff08)?;
        ticket.wait(SOON)?;
    }
    Ok(())
}

pub fn recorded_payloads_of_a_word(device: &Device) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let words = device.alloc_in::<u32>(Memory::Host, 4)?;
    let mut recorder = queue.record();
    let place = recorder.view_slot(words.slice(0..1)?)?;
    let value = recorder.value_slot(1)?;
    recorder.write(place, value)?;
    let mut recording = recorder.finish()?;
    for i in 0..4 {
        recording.set_view(place, words.slice(i..i + 1)?)?;
        recording.set_value(value, i as u64 + 100)?;
        queue.replay(&mut recording)?;
    }
    queue.finish()?;
    assert_eq!(words.to_vec()?, [100, 101, 102, 103]);
    Ok(())
}

pub fn timestamps_grow_and_lie_on_the_cpu_time_axis(device: &Device) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let clock = device.clock()?;
    let timeline = device.timeline()?;
    let mut last = 0;
    for value in 1..=20 {
        queue.signal(&timeline, value)?;
        let ticket = queue.submit()?.detach();
        ticket.wait(SOON)?;
        assert!(timeline.timestamp_ns() >= last, "GPU time went back");
        last = timeline.timestamp_ns();
    }
    let later = device.clock()?;
    // A generous margin: the two clocks may drift, and the machine may stall between readings.
    let slack = 1_000_000 + clock.uncertainty_ns + later.uncertainty_ns;
    let cpu = later.cpu_time_of(last);
    assert!(cpu + slack >= clock.cpu_ns, "signalled {cpu}, before {}", clock.cpu_ns);
    assert!(cpu <= later.cpu_ns + slack, "signalled {cpu}, after {}", later.cpu_ns);
    Ok(())
}

pub fn every_wait_policy_sees_a_signal(device: &Device) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let timeline = device.timeline()?;
    for (value, policy) in
        (1..).zip([WaitPolicy::SPIN, WaitPolicy::YIELD, WaitPolicy::default(), WaitPolicy::BLOCK])
    {
        let started = Instant::now();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| timeline.wait_with(value, SOON, policy));
            thread::sleep(Duration::from_millis(3));
            queue.signal(&timeline, value)?;
            queue.submit()?.wait(SOON)?;
            waiter.join().expect("the waiter does not panic")
        })?;
        assert!(started.elapsed() < SOON);
    }
    Ok(())
}
