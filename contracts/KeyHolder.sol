// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC734} from "./interfaces/IERC734.sol";
import {Ids} from "./libraries/Ids.sol";
import {KeySlot, KeySlots} from "./libraries/KeySlot.sol";
import {SignerTerms} from "./libraries/SignerTerms.sol";
import {KeyTypes, Purposes} from "./libraries/Purposes.sol";

/// @title The keys of an identity (ERC-734)
/// @dev The first manager may stand in the code of a clone rather than in storage. Once removed, a tombstone outranks the code.
abstract contract KeyHolder is IERC734 {
    mapping(bytes32 key => KeySlot) private _keys;
    mapping(uint256 place => bytes32 key) private _keyList; // the keys with a purpose in storage
    uint24 private _keyCount;
    uint64 private _storedManagers;

    modifier onlyManager() {
        _checkManager();
        _;
    }

    /// @inheritdoc IERC734
    function addKey(bytes32 _key, uint256 _purpose, uint256 _keyType) external onlyManager returns (bool success) {
        _addKey(_key, _purpose, _keyType);
        return true;
    }

    /// @inheritdoc IERC734
    function removeKey(bytes32 _key, uint256 _purpose) external onlyManager returns (bool success) {
        uint256 bit = _bit(_purpose);
        KeySlot slot = _keys[_key];
        uint256 purposes = _purposesOf(_key, slot);
        if (purposes == 0) revert KeyNotRegistered(_key);
        if (purposes & bit == 0) revert KeyDoesNotHavePurpose(_key, _purpose);
        uint256 keyType = _keyTypeOf(_key, slot);

        // A manager in code is buried; everything else stands in the slot.
        bool inCode = slot.purposes() & bit == 0;
        if (_purpose == Purposes.MANAGEMENT) {
            if (_storedManagers + (_firstManagerStands() ? 1 : 0) == 1) revert LastManagementKey();
            if (!inCode) --_storedManagers;
        }
        slot = inCode ? slot.buried() : slot.without(bit);
        if (!inCode && slot.purposes() == 0) {
            _unlist(slot.place());
            slot = KeySlots.make(0, 0, slot.tombstone());
        }
        _keys[_key] = slot;
        emit KeyRemoved(_key, _purpose, keyType);
        return true;
    }

    /// @inheritdoc IERC734
    function getKey(bytes32 _key) external view returns (uint256[] memory purposes, uint256 keyType, bytes32 key) {
        purposes = getKeyPurposes(_key);
        if (purposes.length > 0) (keyType, key) = (_keyTypeOf(_key, _keys[_key]), _key);
    }

    /// @inheritdoc IERC734
    function getKeysByPurpose(uint256 _purpose) external view returns (bytes32[] memory keys) {
        uint256 bit = KeySlots.bit(_purpose);
        uint256 count = _keyCount;
        keys = new bytes32[](count + 1);
        uint256 found = 0;
        if (_purpose == Purposes.MANAGEMENT && _firstManagerStands()) keys[found++] = Ids.keyOf(_firstManager());
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = _keyList[i];
            if (_keys[key].purposes() & bit != 0) keys[found++] = key;
        }
        assembly ("memory-safe") {
            mstore(keys, found) // the array may be shorter than what was reserved for it, never longer
        }
    }

    /// @inheritdoc IERC734
    function getKeyPurposes(bytes32 _key) public view returns (uint256[] memory _purposes) {
        uint256 purposes = _purposesOf(_key, _keys[_key]);
        uint256 count = 0;
        for (uint256 rest = purposes; rest != 0; rest &= rest - 1) {
            ++count;
        }
        _purposes = new uint256[](count);
        uint256 next = 0;
        for (uint256 purpose = 1; next < count; ++purpose) {
            if ((purposes >> purpose) & 1 != 0) _purposes[next++] = purpose;
        }
    }

    /// @inheritdoc IERC734
    function keyHasPurpose(bytes32 _key, uint256 _purpose) public view returns (bool exists) {
        uint256 wanted = KeySlots.bit(_purpose) | KeySlots.bit(Purposes.MANAGEMENT);
        return _purposesOf(_key, _keys[_key]) & wanted != 0;
    }

    /// @dev The manager that stands in the code, or zero.
    function _firstManager() internal view virtual returns (address);

    function _addKey(bytes32 key, uint256 purpose, uint256 keyType) internal {
        if (key == bytes32(0) || key == Ids.keyOf(address(0))) revert ZeroKey();
        if (keyType > type(uint16).max) revert KeyTypeOutOfRange(keyType);
        uint256 bit = _bit(purpose);
        KeySlot slot = _keys[key];
        uint256 purposes = _purposesOf(key, slot);
        if (purposes & bit != 0) revert KeyAlreadyHasPurpose(key, purpose);
        // A key that could change its type would change which signatures of it count.
        if (purposes != 0 && _keyTypeOf(key, slot) != keyType) revert KeyTypeMismatch(key, keyType);

        if (purpose == Purposes.MANAGEMENT) ++_storedManagers;
        if (slot.purposes() == 0) {
            uint24 place = _keyCount++;
            _keyList[place] = key;
            slot = KeySlots.make(place, uint16(keyType), slot.tombstone()).under(_newTerms());
        }
        _keys[key] = slot.with(bit);
        emit KeyAdded(key, purpose, keyType);
    }

    function _checkManager() private view {
        if (!_senderHas(Purposes.MANAGEMENT)) revert SenderDoesNotHaveManagementKey();
    }

    function _senderHas(uint256 purpose) internal view returns (bool) {
        return msg.sender == address(this) || keyHasPurpose(Ids.keyOf(msg.sender), purpose);
    }

    /// @dev A key for the purpose itself, not with MANAGEMENT in its place, and of that type; and under which terms.
    function _isKeyFor(bytes32 key, uint256 purpose, uint256 keyType) internal view returns (bool, SignerTerms) {
        KeySlot slot = _keys[key];
        return (slot.purposes() & KeySlots.bit(purpose) != 0 && slot.keyType() == keyType, slot.terms());
    }

    /// @dev A key with that purpose, or with MANAGEMENT, of that type, and under no terms: the form that asks says nothing of its time, and so not
    /// whether it keeps them.
    function _mayActAs(bytes32 key, uint256 purpose, uint256 keyType) internal view returns (bool) {
        KeySlot slot = _keys[key];
        return slot.terms().areNone() && keyHasPurpose(key, purpose) && _keyTypeOf(key, slot) == keyType;
    }

    function _termsOfKey(bytes32 key) internal view returns (SignerTerms) {
        return _keys[key].terms();
    }

    /// @dev What a key that is new in the list comes under.
    function _newTerms() internal view virtual returns (SignerTerms) {
        return SignerTerms.wrap(0);
    }

    /// @dev For every key with a purpose in storage.
    function _addToAllTerms(SignerTerms flags) internal {
        for (uint256 i = 0; i < _keyCount; ++i) {
            bytes32 key = _keyList[i];
            _keys[key] = _keys[key].under(_keys[key].terms().with(flags));
        }
    }

    /// @dev For a key with a purpose in storage.
    function _setTerms(bytes32 key, SignerTerms terms) internal {
        if (_keys[key].purposes() == 0) revert KeyNotRegistered(key);
        _keys[key] = _keys[key].under(terms);
    }

    /// @dev The last key takes the place that is free.
    function _unlist(uint24 place) private {
        uint24 last = --_keyCount;
        if (place != last) {
            bytes32 key = _keyList[last];
            _keyList[place] = key;
            _keys[key] = _keys[key].moved(place);
        }
        delete _keyList[last];
    }

    function _keyTypeOf(bytes32 key, KeySlot slot) private view returns (uint256) {
        if (slot.purposes() != 0) return slot.keyType();
        return _isFirstManager(key, slot) ? KeyTypes.ECDSA : 0;
    }

    function _purposesOf(bytes32 key, KeySlot slot) private view returns (uint256 purposes) {
        purposes = slot.purposes();
        if (_isFirstManager(key, slot)) purposes |= KeySlots.bit(Purposes.MANAGEMENT);
    }

    function _isFirstManager(bytes32 key, KeySlot slot) private view returns (bool) {
        if (slot.tombstone() != 0) return false;
        address first = _firstManager();
        return first != address(0) && key == Ids.keyOf(first);
    }

    function _firstManagerStands() private view returns (bool) {
        address first = _firstManager();
        return first != address(0) && _keys[Ids.keyOf(first)].tombstone() == 0;
    }

    function _bit(uint256 purpose) private pure returns (uint256 bit) {
        bit = KeySlots.bit(purpose);
        if (bit == 0) revert PurposeOutOfRange(purpose);
    }
}
