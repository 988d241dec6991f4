// SPDX-License-Identifier: Apache-2.0

package store

import "errors"

// errPoison answers a commit that crashed the store actor twice.
var errPoison = errors.New("store: the commit crashed its actor twice")
