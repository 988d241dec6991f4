// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// layouts are the conversions of strftime(3), C locale, that Go's time can say.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06",
	'e': "_2", 'F': "2006-01-02", 'h': "Jan", 'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'p': "PM",
	'P': "pm", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05",
	'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// appendTime appends what strftime(3) makes of %verb, and mosquitto's own @N.
// What strftime does not know stays as it is.
func appendTime(b []byte, t time.Time, verb byte) []byte {
	if layout, ok := layouts[verb]; ok {
		return t.AppendFormat(b, layout)
	}
	year, week := t.ISOWeek()
	switch verb {
	case '@':
		return append(b, '@')
	case '%':
		return append(b, '%')
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case 'N':
		return fmt.Appendf(b, "%09d", t.Nanosecond())
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10)
	case 'C':
		return fmt.Appendf(b, "%02d", t.Year()/100)
	case 'g':
		return fmt.Appendf(b, "%02d", year%100)
	case 'G':
		return strconv.AppendInt(b, int64(year), 10)
	case 'V':
		return fmt.Appendf(b, "%02d", week)
	case 'k':
		return fmt.Appendf(b, "%2d", t.Hour())
	case 'l':
		return fmt.Appendf(b, "%2d", (t.Hour()+11)%12+1)
	case 'u':
		return strconv.AppendInt(b, int64((t.Weekday()+6)%7)+1, 10)
	case 'w':
		return strconv.AppendInt(b, int64(t.Weekday()), 10)
	case 'U': // weeks begin on Sunday
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	case 'W': // weeks begin on Monday
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-int((t.Weekday()+6)%7))/7)
	}
	return append(b, '%', verb)
}

func isoTime(b []byte, t time.Time) []byte { return t.AppendFormat(b, "2006-01-02T15:04:05-0700") }

func appendUnix(b []byte, t time.Time) []byte {
	return fmt.Appendf(b, "%d.%09d", t.Unix(), t.Nanosecond())
}

// jsonTime is the timestamp of %j, letter for letter that of mosquitto_sub.
func jsonTime(t time.Time) string {
	return strings.Replace(t.Format("2006-01-02T15:04:05.000000Z#-0700"), "#", "", 1)
}
