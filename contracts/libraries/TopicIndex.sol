// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title The issuers of the claims on one topic: the first beside the count, so that one word is enough for one
/// @notice Lists are short (at most MAX), so a place is found by looking.
library TopicIndex {
    struct Index {
        address first;
        uint96 count;
        mapping(uint256 position => address) further; // from position 1
    }

    uint256 internal constant MAX = 50;

    /// @dev `issuer` is not in it. Says no if it is full.
    function add(Index storage self, address issuer) internal returns (bool) {
        (address first, uint256 count) = (self.first, self.count);
        if (count == MAX) return false;
        if (count == 0) first = issuer;
        else self.further[count] = issuer;
        (self.first, self.count) = (first, uint96(count + 1)); // one word, written once
        return true;
    }

    /// @dev `issuer` is in it. The last one takes its place.
    function remove(Index storage self, address issuer) internal {
        uint256 last = self.count - 1;
        uint256 position = 0;
        while (issuerAt(self, position) != issuer) ++position;
        address moved = issuerAt(self, last);
        if (position == 0) self.first = moved;
        else self.further[position] = moved;
        if (last == 0) self.first = address(0);
        else delete self.further[last];
        self.count = uint96(last);
    }

    function issuerAt(Index storage self, uint256 position) internal view returns (address) {
        return position == 0 ? self.first : self.further[position];
    }
}
