package generate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// nexmarkEvent is any of the three kinds.
type nexmarkEvent struct {
	Kind string `json:"event_type"`

	ID                                          int64
	Name, EmailAddress, CreditCard, City, State string
	ItemName, Description                       string
	InitialBid, Reserve, Seller, Category       int64
	Auction, Bidder, Price                      int64
	Channel, URL, Extra                         string
	DateTime, Expires                           time.Time
}

func nexmarkEvents(t *testing.T, n int64) ([]nexmarkEvent, []string) {
	t.Helper()
	got := lines(t, Nexmark{Settings: settings(1)}.Stream(), n)
	events := make([]nexmarkEvent, len(got))
	for i, line := range got {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&events[i]); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, line)
		}
	}
	return events, got
}

// TestNexmarkProportions holds the stream to the published parameters.
func TestNexmarkProportions(t *testing.T) {
	const n = 200_000
	events, text := nexmarkEvents(t, n)
	count, size, hot := map[string]int{}, map[string]int{}, map[string]int{}
	nextPerson, nextAuction := int64(nexmarkFirstID), int64(nexmarkFirstID)
	var logs float64
	for i, e := range events {
		count[e.Kind]++
		size[e.Kind] += len(text[i])
		if want := DefaultStart.Add(time.Duration(i) * time.Second / DefaultRate).Truncate(time.Millisecond); !e.DateTime.Equal(want) {
			t.Fatalf("event %d is of %v; want %v", i, e.DateTime, want)
		}
		switch e.Kind {
		case "person":
			if e.ID != nextPerson {
				t.Fatalf("person %d; want %d", e.ID, nextPerson)
			}
			nextPerson++
		case "auction":
			if e.ID != nextAuction {
				t.Fatalf("auction %d; want %d", e.ID, nextAuction)
			}
			nextAuction++
			if e.Category < 10 || e.Category > 14 || e.Reserve <= e.InitialBid || !e.Expires.After(e.DateTime) || e.Seller > nextPerson+nexmarkLead {
				t.Fatalf("not an auction: %s", text[i])
			}
			if (e.Seller-nexmarkFirstID)%nexmarkHotBatch == 0 {
				hot["seller"]++
			}
		case "bid":
			logs += math.Log10(float64(e.Price) / 100)
			if e.Auction < nextAuction-1-nexmarkInFlight-nexmarkHotBatch || e.Auction > nextAuction+nexmarkLead {
				t.Fatalf("a bid on auction %d while %d is the newest", e.Auction, nextAuction-1)
			}
			if (e.Auction-nexmarkFirstID)%nexmarkHotBatch == 0 {
				hot["auction"]++
			}
			if (e.Bidder-nexmarkFirstID)%nexmarkHotBatch == 1 {
				hot["bidder"]++
			}
			if !strings.HasPrefix(e.Channel, "channel-") {
				hot["channel"]++
			}
		}
	}
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %.3f; want %.3f", what, got, want)
		}
	}
	bids := float64(count["bid"])
	near("share of persons", float64(count["person"])/n, 0.02, 0.0001)
	near("share of auctions", float64(count["auction"])/n, 0.06, 0.0001)
	near("bids on hot auctions", float64(hot["auction"])/bids, 0.5+0.5/100, 0.01)
	near("bids of hot bidders", float64(hot["bidder"])/bids, 0.75, 0.01)
	near("bids from hot channels", float64(hot["channel"])/bids, 0.5, 0.01)
	near("auctions of hot sellers", float64(hot["seller"])/float64(count["auction"]), 0.75, 0.02)
	near("mean power of ten of a price", logs/bids, 3, 0.02)
	near("bytes of an auction", float64(size["auction"])/float64(count["auction"]), 500, 30)
}

func TestNexmarkRepeats(t *testing.T) {
	_, a := nexmarkEvents(t, 5000)
	_, b := nexmarkEvents(t, 5000)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("the same seed gives other events")
	}
	if side := NexmarkSide(); bytes.Count(side, []byte("\n")) != nexmarkChannels || !bytes.HasPrefix(side, []byte(`{"key":0,"value":"`)) {
		t.Errorf("the side table has %d rows", bytes.Count(side, []byte("\n")))
	}
}
