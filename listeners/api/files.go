// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path by one with text that only its owner can
// read: a crash leaves the old one or the new one, and no other user ever has it.
func WriteFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// WriteToken writes a new token to the file at path, which only the user that the
// broker runs as can read, and returns it: whoever can read the file may administer
// the broker, as with its data.
func WriteToken(path string) (string, error) {
	token := random(32)
	return token, WriteFile(path, []byte(token+"\n"))
}
