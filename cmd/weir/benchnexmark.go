package main

import "strings"

// The kinds of events of Nexmark share one stream; a query begins with the steps that pick
// the kinds it reads.
const (
	nexmarkBid     = `bid AS (SELECT * FROM nexmark TIMESTAMP BY dateTime WHERE event_type = 'bid')`
	nexmarkAuction = `auction AS (SELECT * FROM nexmark TIMESTAMP BY dateTime WHERE event_type = 'auction')`
	nexmarkPerson  = `person AS (SELECT * FROM nexmark TIMESTAMP BY dateTime WHERE event_type = 'person')`
)

// nexmarkQuery completes a text: $BID, $AUCTION and $PERSON stand for the steps above.
func nexmarkQuery(id, what, text string) benchQuery {
	text = strings.NewReplacer("$BID", nexmarkBid, "$AUCTION", nexmarkAuction, "$PERSON", nexmarkPerson).Replace(text)
	return benchQuery{ID: id, What: what, SAQL: text, Nexmark: true}
}

// nexmarkQueries are the queries of the Nexmark benchmark that the language can say.
// Streams never end here, so where the benchmark joins or groups without bounds, these have
// windows and time bounds: q3, q4, q9, q17 to q20. q12 groups by arrival time, which for a
// file is one moment. Missing are q6 (the last ten rows of a group), q10 (a sink with a
// path, not a query), q15 and q16 (many filtered distinct counts a day), q23.
var nexmarkQueries = []benchQuery{
	nexmarkQuery("q0", "pass through", `WITH $BID
SELECT auction, bidder, price, dateTime, extra FROM bid`),
	nexmarkQuery("q1", "currency", `WITH $BID
SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid`),
	nexmarkQuery("q2", "selection", `WITH $BID
SELECT auction, price FROM bid WHERE auction % 123 = 0`),
	nexmarkQuery("q3", "local items", `WITH $AUCTION, $PERSON
SELECT P.name, P.city, P.state, A.id
FROM auction A JOIN person P ON A.seller = P.id AND DATEDIFF(minute, P, A) BETWEEN -1 AND 10
WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')`),
	nexmarkQuery("q4", "average winning price by category", `WITH $BID, $AUCTION,
winning AS (
  SELECT A.id, A.category, MAX(B.price) AS final
  FROM auction A JOIN bid B ON A.id = B.auction AND DATEDIFF(second, A, B) BETWEEN 0 AND 10 AND B.dateTime <= A.expires
  GROUP BY A.id, A.category, TumblingWindow(second, 10)
)
SELECT category, AVG(final) AS final FROM winning GROUP BY category, TumblingWindow(second, 10)`),
	nexmarkQuery("q5", "hot items", `WITH $BID,
counts AS (SELECT auction, COUNT(*) AS num FROM bid GROUP BY auction, HoppingWindow(second, 10, 2)),
most AS (SELECT MAX(num) AS num FROM counts GROUP BY System.Timestamp())
SELECT c.auction, c.num FROM counts c JOIN most m ON DATEDIFF(millisecond, c, m) = 0 AND c.num >= m.num`),
	nexmarkQuery("q7", "highest bid", `WITH $BID,
highest AS (SELECT MAX(price) AS price FROM bid GROUP BY TumblingWindow(second, 10))
SELECT B.auction, B.price, B.bidder, B.dateTime, B.extra
FROM bid B JOIN highest H ON B.price = H.price AND DATEDIFF(second, B, H) BETWEEN 0 AND 10`),
	nexmarkQuery("q8", "new users", `WITH $AUCTION, $PERSON,
p AS (SELECT id, name FROM person GROUP BY id, name, TumblingWindow(second, 10)),
a AS (SELECT seller FROM auction GROUP BY seller, TumblingWindow(second, 10))
SELECT p.id, p.name, System.Timestamp() AS t FROM p JOIN a ON p.id = a.seller AND DATEDIFF(second, p, a) = 0`),
	nexmarkQuery("q9", "winning bids", `WITH $BID, $AUCTION,
bids AS (
  SELECT A.id, A.category, B.bidder, B.price, B.dateTime
  FROM auction A JOIN bid B ON A.id = B.auction AND DATEDIFF(second, A, B) BETWEEN 0 AND 10 AND B.dateTime <= A.expires
)
SELECT id, TopOne() OVER (ORDER BY price DESC) AS winner FROM bids GROUP BY id, TumblingWindow(second, 10)`),
	nexmarkQuery("q11", "user sessions", `WITH $BID
SELECT bidder, COUNT(*) AS bids, System.Timestamp() AS t
FROM bid GROUP BY bidder, SessionWindow(second, 10, 3600) OVER (PARTITION BY bidder)`),
	nexmarkQuery("q12", "windows of arrival time", `WITH bid AS (SELECT bidder FROM nexmark WHERE event_type = 'bid')
SELECT bidder, COUNT(*) AS bids FROM bid GROUP BY bidder, TumblingWindow(second, 10)`),
	nexmarkQuery("q13", "join with a table", `WITH $BID
SELECT B.auction, B.bidder, B.price, B.dateTime, S.value
FROM bid B JOIN side S ON B.auction % 10000 = S.[key]`),
	nexmarkQuery("q14", "calculation", `WITH $BID
SELECT auction, bidder, 0.908 * price AS price,
  CASE WHEN DATEPART(hour, dateTime) BETWEEN 8 AND 18 THEN 'dayTime'
       WHEN DATEPART(hour, dateTime) <= 6 OR DATEPART(hour, dateTime) >= 20 THEN 'nightTime'
       ELSE 'otherTime' END AS bidTimeType,
  dateTime, LEN(extra) - LEN(REPLACE(extra, 'c', '')) AS cCounts
FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`),
	nexmarkQuery("q17", "statistics by auction", `WITH $BID
SELECT auction, COUNT(*) AS bids, MIN(price) AS least, MAX(price) AS most, AVG(price) AS mean, SUM(price) AS total,
  SUM(CASE WHEN price < 10000 THEN 1 ELSE 0 END) AS rank1,
  SUM(CASE WHEN price >= 10000 AND price < 1000000 THEN 1 ELSE 0 END) AS rank2,
  SUM(CASE WHEN price >= 1000000 THEN 1 ELSE 0 END) AS rank3
FROM bid GROUP BY auction, TumblingWindow(day, 1)`),
	nexmarkQuery("q18", "last bid", `WITH $BID
SELECT bidder, auction, TopOne() OVER (ORDER BY CAST(dateTime AS datetime) DESC) AS bid
FROM bid GROUP BY bidder, auction, TumblingWindow(second, 10)`),
	nexmarkQuery("q19", "top 10 by auction", `WITH $BID,
top AS (SELECT auction, CollectTop(10) OVER (ORDER BY price DESC) AS bids FROM bid GROUP BY auction, TumblingWindow(second, 10))
SELECT top.auction, e.ArrayValue.rank AS rank, e.ArrayValue.value.price AS price, e.ArrayValue.value.bidder AS bidder
FROM top CROSS APPLY GetArrayElements(top.bids) AS e`),
	nexmarkQuery("q20", "bids with their auction", `WITH $BID, $AUCTION
SELECT B.auction, B.bidder, B.price, B.channel, B.url, B.dateTime, A.itemName, A.description, A.initialBid, A.reserve,
  A.expires, A.seller, A.category
FROM bid B JOIN auction A ON B.auction = A.id AND DATEDIFF(second, A, B) BETWEEN 0 AND 10
WHERE A.category = 10`),
	nexmarkQuery("q21", "channel id", `WITH $BID,
known AS (
  SELECT auction, bidder, price, channel, url, CHARINDEX('channel_id=', url) AS at
  FROM bid
)
SELECT auction, bidder, price, channel,
  CASE LOWER(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
    ELSE SUBSTRING(url, at + 11, LEN(url)) END AS channel_id
FROM known WHERE at > 0 OR LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu')`),
	nexmarkQuery("q22", "directories of the url", `WITH $BID,
path AS (SELECT auction, bidder, price, channel, SUBSTRING(url, CHARINDEX('/', url, 9) + 1, LEN(url)) AS rest FROM bid),
first AS (
  SELECT auction, bidder, price, channel, LEFT(rest, CHARINDEX('/', rest) - 1) AS dir1,
    SUBSTRING(rest, CHARINDEX('/', rest) + 1, LEN(rest)) AS rest
  FROM path
),
second AS (
  SELECT auction, bidder, price, channel, dir1, LEFT(rest, CHARINDEX('/', rest) - 1) AS dir2,
    SUBSTRING(rest, CHARINDEX('/', rest) + 1, LEN(rest)) AS rest
  FROM first
)
SELECT auction, bidder, price, channel, dir1, dir2, LEFT(rest, CHARINDEX('/', rest) - 1) AS dir3 FROM second`),
}
