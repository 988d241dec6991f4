// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"fmt"
	"slices"

	"emqttd/protocol/topic"
)

// A router keeps its subscribers behind the filter, and changes them under the
// lock of the one writer.
func ExampleTrie() {
	type subscribers []string
	routes := topic.NewSeededTrie[subscribers](topic.DefaultLevels, 1)
	subscribe := func(client, filter string) {
		routes.Upsert(filter, func(old *subscribers) *subscribers {
			now := subscribers{client}
			if old != nil {
				now = append(slices.Clone(*old), client) // readers keep the old list
			}
			return &now
		})
	}
	subscribe("kitchen", "home/+/temperature")
	subscribe("logger", "home/#")
	subscribe("archive", "home/#")

	found, ok := routes.Match(nil, "home/1/temperature", topic.DefaultSteps)
	for _, s := range found {
		fmt.Println(*s)
	}
	fmt.Println(ok)
	// Output:
	// [logger archive]
	// [kitchen]
	// true
}

// A large match is taken in pages; between two of them anything may change.
func ExampleIndex_Match() {
	retained := topic.NewSeededIndex[int](topic.DefaultLevels, 1)
	for i := range 5 {
		retained.Put(fmt.Sprintf("home/%d/temperature", i), 20+i)
	}
	var page []topic.Entry[int]
	names := []string{}
	for cur, done := (topic.Cursor{}), false; !done; {
		page, cur, done = retained.Match("home/+/temperature", cur, 2, page[:0])
		for _, e := range page {
			names = append(names, e.Name)
			retained.Delete(e.Name) // the cursor does not mind
		}
	}
	slices.Sort(names)
	fmt.Println(names)
	// Output: [home/0/temperature home/1/temperature home/2/temperature home/3/temperature home/4/temperature]
}
