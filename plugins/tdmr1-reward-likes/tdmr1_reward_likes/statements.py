"""What `Voting` says to the database: who may be lent what, and what an answer changes.

Parameters: `voter`, `now` and `until` (the end of a lease that begins now), `share` and `voters`
of `Sharing`, and what a statement names beside them. A row of a picture is `ROW`.
"""

WANTED = "max(wanted, CASE WHEN draw < :share THEN :voters ELSE 1 END)"
VOTES = """(SELECT count(*) FROM answers
     WHERE image = images.number AND stands AND answer <> 'skip')"""
WAITS = f"NOT withdrawn AND wanted > 0 AND {VOTES} < {WANTED}"
LIVE = "lent <= :now AND :now < until"
IS_FULL = f"""{VOTES}
    + (SELECT count(*) FROM leases WHERE image = images.number AND voter <> :voter AND {LIVE})
    >= {WANTED}"""
ROW = 'images.number, id, prompt, height, width, batch, "group"'
IS_FREE = f"""queued AND NOT ({IS_FULL})
    AND NOT EXISTS (SELECT 1 FROM answers
                    WHERE image = images.number AND voter = :voter AND stands)
    AND NOT EXISTS (SELECT 1 FROM leases WHERE image = images.number AND voter = :voter)"""
IN_TURN = "ORDER BY batch DESC, uncertainty DESC, images.number"

FREE = f"SELECT {ROW} FROM images WHERE {IS_FREE} {IN_TURN} LIMIT :count"
FREE_OF_GROUP = f"""SELECT {ROW} FROM images
    WHERE batch = :batch AND "group" IS :group AND (:group IS NOT NULL OR images.number = :number)
    AND {IS_FREE} {IN_TURN}"""
MINE = f"""SELECT {ROW} FROM leases JOIN images ON images.number = image
    WHERE voter = :voter ORDER BY leases.number"""
END_LEASES = f"DELETE FROM leases WHERE image = :image AND voter <> :voter AND NOT ({LIVE})"
LEND = """INSERT OR IGNORE INTO leases (image, voter, lent, until)
    VALUES (:image, :voter, :now, :until)"""
RENEW = "UPDATE leases SET lent = :now, until = :until WHERE voter = :voter"
RETURN = "DELETE FROM leases WHERE image = :image AND voter = :voter"

NEXT_BATCH = "SELECT ifnull(max(number), 0) + 1 FROM answers"
STATE = """SELECT images.number,
    (SELECT answer FROM answers WHERE image = images.number AND voter = :voter AND stands),
    EXISTS (SELECT 1 FROM leases WHERE image = images.number AND voter = :voter)
    FROM images WHERE id = :id"""
FULL = f"SELECT {IS_FULL} FROM images WHERE number = :image"
ANSWER = """INSERT INTO answers (batch, image, voter, answer, time, stands)
    VALUES (:batch, :image, :voter, :answer, :now, 1)"""
SETTLE = f"UPDATE images SET queued = NOT queued WHERE queued <> ({WAITS})"
LEAVE_QUEUE = f"""UPDATE images SET queued = 0
    WHERE number = :image AND queued AND {VOTES} >= {WANTED}"""

LAST = """SELECT number, image FROM answers WHERE voter = :voter AND stands AND batch =
    (SELECT max(batch) FROM answers WHERE voter = :voter AND stands) ORDER BY number"""
TAKE_BACK = "UPDATE answers SET stands = 0 WHERE number = :number"
TOOK_BACK = """INSERT INTO answers (image, voter, answer, time, stands)
    VALUES (:image, :voter, 'undo', :now, 0)"""
QUEUE_AGAIN = f"UPDATE images SET queued = {WAITS} WHERE number = :image"

PROGRESS = """SELECT (SELECT count(*) FROM answers WHERE voter = :voter AND stands),
    (SELECT count(*) FROM images WHERE queued)
    - (SELECT count(*) FROM answers JOIN images ON images.number = image
       WHERE voter = :voter AND stands AND queued)"""
TIMES = """SELECT time FROM answers WHERE answer <> 'undo' AND batch IS NOT NULL
    ORDER BY number DESC LIMIT :count"""
