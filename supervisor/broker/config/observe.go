// SPDX-License-Identifier: Apache-2.0

package config

import "time"

// Trace bounds what operators may have written down.
type Trace struct {
	// Traces that run at once; one more is refused. 0: none can be started.
	MaxTraces int `yaml:"max_traces" min:"0" max:"64"`

	// Events that a trace keeps for its readers; the oldest make room.
	MaxEvents int `yaml:"max_events" min:"16" max:"1000000"`

	// A trace ends after this time at the latest.
	MaxDuration time.Duration `yaml:"max_duration" min:"1s" max:"168h"`

	// A trace's file (in node.data_dir/trace) that has reached this size is
	// rotated.
	FileSize Bytes `yaml:"file_size" min:"64KiB" max:"1GiB"`

	// Rotated files that are kept of a trace; the oldest is removed.
	Files int `yaml:"files" min:"0" max:"100"`
}

// Monitor raises alarms for what is measured in the process. An alarm is cleared
// when its value was well below its mark several times.
type Monitor struct {
	// How often the process is looked at. 0: never.
	Interval time.Duration `yaml:"interval" min:"0s" max:"1h" reload:"yes"`

	// Alarm long_gc: the garbage collector stops the process for so long at once.
	// 0: no alarm.
	GCPause time.Duration `yaml:"gc_pause" min:"0s" max:"1m" reload:"yes"`

	// Alarm long_schedule: one goroutine in a hundred waits so long for a
	// processor. 0: no alarm.
	ScheduleLatency time.Duration `yaml:"schedule_latency" min:"0s" max:"1m" reload:"yes"`

	// Alarm large_mailbox: so many messages wait for one service. 0: no alarm.
	Mailbox int `yaml:"mailbox" min:"0" max:"100000000" reload:"yes"`

	// Alarm large_heap: so much of the memory limit (runtime.gomemlimit) is used.
	// 0: no alarm.
	MemoryPercent int `yaml:"memory_percent" min:"0" max:"100" reload:"yes"`

	// How often in a row a value is below four fifths of its mark before its alarm
	// is cleared.
	Calm int `yaml:"calm" min:"1" max:"1000" reload:"yes"`

	// Alarms at once; one more is not raised, and counted.
	MaxAlarms int `yaml:"max_alarms" min:"1" max:"100000"`

	// Cleared alarms that are remembered; the oldest are forgotten.
	History int `yaml:"history" min:"0" max:"100000"`
}

// SlowSubscribers lists those that get messages late.
type SlowSubscribers struct {
	// From the arrival of a message to the subscriber's out-buffer; what waited
	// while it was away does not count. 0: nobody is slow.
	Threshold time.Duration `yaml:"threshold" min:"0s" max:"24h"`

	// How many are listed: the slowest.
	Top int `yaml:"top" min:"1" max:"1000"`

	// How long a late delivery is remembered.
	Window time.Duration `yaml:"window" min:"1s" max:"24h"`
}

// TopicMetrics counts messages by topic, for topics that an operator asks for.
type TopicMetrics struct {
	// Topics at once; one more is refused.
	MaxTopics int `yaml:"max_topics" min:"0" max:"10000"`
}
