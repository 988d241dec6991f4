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
