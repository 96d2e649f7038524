// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title The issuers of the claims on one topic: the first beside the count, so that one word is enough for one
/// @notice Lists are short (at most MAX), so a place is found by looking.
library TopicIndex {
    struct Index {
        uint256 head; // the first issuer, above it how many there are
        mapping(uint256 position => address) further; // from position 1
    }

    uint256 internal constant MAX = 50;
    uint256 private constant COUNT_AT = 160;

    function count(Index storage self) internal view returns (uint256) {
        return self.head >> COUNT_AT;
    }

    /// @dev `issuer` is not in it. Says no if it is full.
    function add(Index storage self, address issuer) internal returns (bool) {
        uint256 head = self.head;
        uint256 position = head >> COUNT_AT;
        if (position == MAX) return false;
        if (position == 0) head = uint160(issuer);
        else self.further[position] = issuer;
        unchecked {
            self.head = head + (1 << COUNT_AT); // at most MAX
        }
        return true;
    }

    /// @dev `issuer` is in it. The last one takes its place.
    function remove(Index storage self, address issuer) internal {
        uint256 last = count(self) - 1;
        uint256 position = 0;
        while (issuerAt(self, position) != issuer) ++position;
        address first = address(uint160(self.head));
        address moved = issuerAt(self, last);
        if (position == 0) first = moved;
        else self.further[position] = moved;
        if (last == 0) first = address(0);
        else delete self.further[last];
        self.head = (last << COUNT_AT) | uint160(first);
    }

    function issuerAt(Index storage self, uint256 position) internal view returns (address) {
        return position == 0 ? address(uint160(self.head)) : self.further[position];
    }
}
