// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/actors/store/storetest"
)

func TestTheMemoryEngineKeepsTheContract(t *testing.T) {
	storetest.Run(t, func() store.Engine { return memory.New() })
}
